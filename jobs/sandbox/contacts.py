"""The people in the sandbox's CRM."""

NAMES = (
    "Ada Marsh", "Bela Novak", "Chidi Okafor", "Dora Lindqvist", "Emil Hartmann", "Farah Nasser", "Goran Petrov",
    "Hana Sato", "Ines Duarte", "Jonas Berg", "Kamala Rao", "Leo Fontaine", "Mira Cohen", "Nils Aalto", "Oona Byrne",
    "Pablo Ruiz", "Quinn Harper", "Rosa Conti", "Sami Haddad", "Tove Nilsen", "Uma Iyer", "Viktor Kral",
    "Wanda Zielinska", "Xia Chen", "Yara Mendes",
)  # fmt: skip

CONTACTS = [
    {
        "id": number,
        "name": name,
        "email": f"{name.lower().replace(' ', '.')}@example.com",
        "company": ("Northern Line", "Harbour & Sons", "Meridian Freight")[number % 3],
    }
    for number, name in enumerate(NAMES, start=1)
]
