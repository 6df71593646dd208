"""The outside world for development: a mail API, a payment gateway and a CRM that answer over real HTTP."""
