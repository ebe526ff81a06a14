"""Keys in files: made, found, used, and never shown or overwritten."""

import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from securesystemslib.signer import HSMSigner

from vedette_converters.release.keyring import Keyring
from vedette_converters.release.keys import find_key, import_key, make_key, read_key
from vedette_converters.release.secrets import Passphrases
from vedette_edge.errors import UpdateError, UsageError


class Told:
    """Secrets by name."""

    def __init__(self, **secrets):
        self._secrets = secrets
        self.asked = []

    def secret(self, name, *, new=False):
        self.asked.append((name, new))
        return self._secrets.get(name.replace("-", "_"))


SECRETS = Told(root_1="correct horse", root_2="battery staple")


def test_a_key_is_made_and_signs(tmp_path):
    made = make_key(tmp_path / "keys", "root-1", SECRETS)
    signer = Keyring([tmp_path / "keys"], SECRETS).signer(made.keyid)
    made.key.verify_signature(signer.sign(b"data"), b"data")
    private = tmp_path / "keys" / "root-1.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert private.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert "PRIVATE" not in (tmp_path / "keys" / "root-1.json").read_text()
    assert ("root-1", True) in SECRETS.asked


def test_a_key_is_never_overwritten(tmp_path):
    make_key(tmp_path, "root-1", SECRETS)
    before = (tmp_path / "root-1.pem").read_bytes()
    with pytest.raises(UsageError, match="exists; a key is never overwritten"):
        make_key(tmp_path, "root-1", SECRETS)
    assert (tmp_path / "root-1.pem").read_bytes() == before


@pytest.mark.parametrize("secret", [None, "", "short"])
def test_a_key_without_a_passphrase_worth_its_name_is_not_made(secret, tmp_path):
    with pytest.raises(UsageError, match="needs a passphrase of 8 characters or more"):
        make_key(tmp_path / "keys", "root-1", Told(root_1=secret) if secret is not None else Told())
    assert not (tmp_path / "keys").exists()


def test_a_wrong_passphrase_is_told_and_not_shown(tmp_path):
    made = make_key(tmp_path, "root-1", SECRETS)
    with pytest.raises(UsageError, match="the passphrase is wrong") as caught:
        Keyring([tmp_path], Told(root_1="something else")).signer(made.keyid)
    assert "something else" not in str(caught.value)


def test_a_key_without_its_passphrase_or_private_half_is_not_at_hand(tmp_path):
    made = make_key(tmp_path, "root-1", SECRETS)
    assert Keyring([tmp_path], Told()).signer(made.keyid) is None
    (tmp_path / "root-1.pem").unlink()
    assert Keyring([tmp_path], SECRETS).signer(made.keyid) is None
    assert Keyring([], SECRETS).signer(made.keyid) is None


def test_a_private_half_of_another_key_is_told(tmp_path):
    make_key(tmp_path, "root-1", SECRETS)
    made = make_key(tmp_path, "root-2", Told(root_2="correct horse"))
    (tmp_path / "root-1.pem").replace(tmp_path / "root-2.pem")
    with pytest.raises(UsageError, match=r"root-2\.pem is not the private half of root-2\.json"):
        Keyring([tmp_path], Told(root_2="correct horse")).signer(made.keyid)


def test_a_plain_pem_elsewhere_is_taken_by_its_uri(tmp_path):
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "old.pem").write_bytes(pem)
    found = find_key(f"file2:{tmp_path / 'old.pem'}", tmp_path / "keys", "root-1", Told())
    signer = Keyring([tmp_path / "keys" / "root-1.json"], Told()).signer(found.keyid)
    found.key.verify_signature(signer.sign(b"data"), b"data")
    assert not (tmp_path / "keys" / "root-1.pem").exists()


def test_a_token_without_its_library_is_told(tmp_path):
    try:
        HSMSigner.import_()
    except Exception as error:
        if type(error).__name__ != "UnsupportedLibraryError":
            pytest.skip("the library of hardware tokens is installed here")
    with pytest.raises(UsageError, match=r"hsm:2: .*pip install 'securesystemslib\[hsm\]'"):
        import_key(tmp_path, "root-1", "hsm:2", Told())


def test_a_scheme_that_cannot_be_asked_is_told(tmp_path):
    with pytest.raises(UsageError, match="only file2: and hsm: can be asked"):
        import_key(tmp_path, "root-1", "gcpkms:projects/x", Told())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "keyid: missing"),
        ('{"name": "a", "keyid": "00000000", "public": {}, "uri": ""}', "is no public key"),
    ],
)
def test_a_file_that_describes_no_key_is_told(text, sentence, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UpdateError, match=sentence):
        read_key(tmp_path / "a.json")
    with pytest.raises(UpdateError, match="cannot read this key"):
        read_key(tmp_path / "b.json")


def test_a_key_is_found_by_name_and_by_the_beginning_of_its_id(tmp_path):
    first, second = (make_key(tmp_path, name, SECRETS) for name in ("root-1", "root-2"))
    ring = Keyring([tmp_path], SECRETS)
    assert ring.find("root-2") == second
    assert ring.find(first.keyid[:12]) == first
    assert ring.find("") is None
    assert ring.name(first.keyid) == "root-1"
    assert ring.name("0" * 64) == "0" * 12


def test_passphrases_come_from_the_nearest_place(tmp_path):
    file = tmp_path / "passphrase"
    file.write_text("of the file\nnot this\n")
    everywhere = {"VEDETTE_PASSPHRASE_ROOT_1": "its own", "VEDETTE_PASSPHRASE": "of all"}
    assert Passphrases(file, everywhere).secret("root-1") == "its own"
    assert Passphrases(file, everywhere).secret("root-2") == "of all"
    assert Passphrases(file, {}).secret("root-1") == "of the file"
    assert Passphrases(None, {}, None).secret("root-1") is None
    with pytest.raises(UsageError, match="cannot read the passphrase"):
        Passphrases(tmp_path / "nowhere", {})


def test_a_person_is_asked_once_for_each_key():
    asked = []

    def ask(name, new):
        asked.append((name, new))
        return f"of {name}"

    secrets = Passphrases(None, {}, ask)
    assert [secrets.secret(name) for name in ("a", "a", "b")] == ["of a", "of a", "of b"]
    assert asked == [("a", False), ("b", False)]
