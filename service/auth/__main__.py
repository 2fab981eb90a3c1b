"""`python -m service.auth` prints a new API key, for TRIMTAB_BOOTSTRAP_KEY."""

from service.auth.keys import new_key

if __name__ == "__main__":
    print(new_key())
