"""Keys and personal addresses are found, placeholders and code are not. The keys are assembled here; none is real."""

import base64
import json
import random
import string

import pytest

from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.datasets.sensitive import entropy, find_sensitive
from modelops.evaluation.time_limit import processor_time_limit


def random_text(size: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(random.Random(size).choices(letters, k=size))


KEYS = [
    "AKIA" + random_text(16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "ghp_" + random_text(36),
    "github_pat_" + random_text(82),
    "glpat-" + random_text(20),
    "xoxb-" + random_text(40),
    "sk_live_" + random_text(24),
    "sk-" + "ant-" + random_text(60),
    "sk-" + random_text(48),
    "hf_" + random_text(34),
    "lsv2_pt_" + random_text(32, "0123456789abcdef") + "_" + random_text(10, "0123456789abcdef"),
    "AIza" + random_text(35),
    "npm_" + random_text(36),
    "ey" + "J" + random_text(20) + ".ey" + "J" + random_text(30) + "." + random_text(40),
    f'API_KEY = "{random_text(32)}"',
    f"'auth_token': '{random_text(40)}'",
]


@pytest.mark.parametrize("key", KEYS)
def test_issued_keys_are_found(key: str) -> None:
    assert find_sensitive(f"config:\n  value {key}\nend") == {SensitiveKind.KEY}


@pytest.mark.parametrize("before", ['"', "=", ".", r"\n", r"\t", "密钥", "https://x/?key="])
@pytest.mark.parametrize("number", [10, 12])
def test_a_key_is_found_after_any_mark(before: str, number: int) -> None:
    assert find_sensitive(f"{before}{KEYS[number]}") == {SensitiveKind.KEY}


@pytest.mark.parametrize("before", ["x", "7", "_", "-", "Zz0"])
@pytest.mark.parametrize("number", [10, 12])
def test_letters_inside_base64_are_no_key(before: str, number: int) -> None:
    assert find_sensitive(f"{before}{KEYS[number]}") == frozenset()


def test_base64_of_json_is_searched_in_linear_time() -> None:
    document = [{"id": number, "x": number} for number in range(40_000)]
    encoded = base64.b64encode(json.dumps(document, separators=(",", ":")).encode()).decode()
    with processor_time_limit(1.0):
        assert find_sensitive(f"//# sourceMappingURL=data:application/json;base64,{encoded}") == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7" + "EXAMPLE",
        "ghp_" + "x" * 36,
        "sk-" + "0" * 40,
        "API_KEY = os.environ['SERVICE_API_KEY_FOR_THE_DEPLOYMENT']",
        'password = "correct horse battery staple"',
        "commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12",
        "token = 'thequickbrownfoxjumpsoverthelazydog'",
        "task-" + "sk-learn-estimators",
    ],
)
def test_placeholders_and_code_are_not_keys(text: str) -> None:
    assert find_sensitive(text) == frozenset()


def test_private_keys_are_found_and_a_first_line_alone_is_not() -> None:
    begin = "-----BEGIN " + "RSA PRIVATE KEY-----"
    assert find_sensitive(f"{begin}\nMIIEpAIBAAKCAQEA") == {SensitiveKind.PRIVATE_KEY}
    assert find_sensitive(f'if line == "{begin}":') == frozenset()


@pytest.mark.parametrize("text", ["write to jane.doe@acme-corp.com", "<j.doe+x@mail.acme.co.uk>", "a@b.io,"])
def test_personal_addresses_are_found(text: str) -> None:
    assert find_sensitive(text) == {SensitiveKind.EMAIL}


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com",
        "a@host.test",
        "git@github.com:org/repo.git",
        "noreply@acme.com",
        "@app.route('/x')",
        "https://u@v.com/x",
        "x = a@b.T",
        "ssh root@host.local",
    ],
)
def test_other_addresses_are_not_found(text: str) -> None:
    assert find_sensitive(text) == frozenset()


@pytest.mark.parametrize("text", ["call +44 20 7946 0958", "+14155552671", "(212) 736-5000", "212-736-5000"])
def test_phone_numbers_are_found(text: str) -> None:
    assert find_sensitive(text) == {SensitiveKind.PHONE}


@pytest.mark.parametrize(
    "text",
    [
        "212-555-0123",
        "1234567890123",
        "2024-12-01 10:00:00.123456",
        "x = 100 + 200 - 3000",
        "192.168.100.200",
        "0x1234567890",
        "seq-123-456-7890-1",
        "3.14159265358979",
    ],
)
def test_other_numbers_are_not_found(text: str) -> None:
    assert find_sensitive(text) == frozenset()


@pytest.mark.parametrize(
    "text",
    [
        "y = x@self.weight",
        "y = x@W.dot + b@np.linalg.inv",
        "a@b.values[0]",
        "scores = q@k.mT",
        "y = x@w.mH + b",
        "val id = this@Outer.id",
        "super@MainActivity.info",
        r"def f(): ...\n@app.route\ndef g(): ...",
        r"\t@pytest.fixture\n@functools.cache",
        "pip install package@1.2.txt",
        "root@build.internal",
    ],
)
def test_code_is_not_an_address(text: str) -> None:
    assert find_sensitive(text) == frozenset()


def test_an_address_after_an_escaped_line_break_is_found() -> None:
    assert find_sensitive(r'"first line\njane.doe@acme-corp.com"') == {SensitiveKind.EMAIL}


@pytest.mark.parametrize(
    "text",
    [
        "@@ -1,2 +1,2 @@\n-1699999999\n+1700000000",
        "+1700000000",
        "+2147483647",
        "-1650000000000\n+1700000000000",
        "-100 200 300 4000\n+44 200 300 4000",
        "400-500-6000",
        "part 412-555-6789",
        "SKU no. 312-456-7890",
        "order id: 312-456-7890",
        "call 1-800-356-9377, or (888) 382-1222",
        "+12345678901",
        "+3 2011-01-01 12:00",
    ],
)
def test_numbers_of_programs_are_not_phone_numbers(text: str) -> None:
    assert find_sensitive(text) == frozenset()


@pytest.mark.parametrize(
    "text",
    ["+44 20 7946 0958\n+49 30 901820", "- ask\n+41 44 668 18 00", "Tel.: 312-456-7891", "+5511987654321"],
)
def test_phone_numbers_beside_others_are_found(text: str) -> None:
    assert find_sensitive(text) == {SensitiveKind.PHONE}


def test_entropy_in_bits() -> None:
    assert entropy("") == 0
    assert entropy("aaaa") == 0
    assert entropy("abcd") == 2
