"""Which files hold keys and passwords: these are never copied."""

from __future__ import annotations

from fnmatch import fnmatchcase

#: By name, in lower case; files and folders.
_NAMES = (
    *(".env", ".env.*", "*.env", ".netrc", "_netrc", ".pgpass", ".my.cnf", ".htpasswd"),
    *(".npmrc", ".pypirc", ".git-credentials", ".dockercfg", ".vault-token", ".boto", ".s3cfg"),
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker", ".password-store"),
    *("credentials", "credentials.*", "*_credentials.json", "*-credentials.json"),
    *("secrets", "secrets.*", "secret.*", "*_secrets.*", "service-account*.json"),
    *("kaggle.json", "*token.json", "*.tfstate", ".streamlit"),
)


def is_secret(name: str) -> bool:
    """Does a file or folder of this name hold keys or passwords, as far as names tell?

    >>> is_secret(".env"), is_secret("id_rsa"), is_secret("train.py"), is_secret("tokens.json")
    (True, True, False, False)
    """
    low = name.lower()
    if low.endswith((".py", ".pyi")):
        return False  # `secrets.py` is code, and may be imported
    return any(fnmatchcase(low, pattern) for pattern in _NAMES)
