"""`manage.py drill`: breaks a staging system on purpose, and checks that every accepted job ended one recorded way."""
