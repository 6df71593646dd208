"""When schedules tick and what becomes of missed ticks: pure functions of time, which know no database and no clock."""
