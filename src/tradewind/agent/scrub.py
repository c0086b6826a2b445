"""Takes likely secrets out of text that people will read: code, exceptions, tracebacks."""

import re

HIDDEN = "***"

# A name that says "this is a secret", often as the end of a longer one: AWS_SECRET_ACCESS_KEY, my_api_key.
_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credential|connection[_-]?string"
    r"|(?:api|access|account|auth|private|secret|encryption|storage)[_-]?key(?:[_-]?id)?)s?"
)
# What stands there in ordinary code and is no secret: gcsfs and s3fs take these words for "no credentials".
_HARMLESS = r"(?!(?:anon|anonymous|none|null|cloud|google_default|browser|cache|default|true|false)\b)"
# Bounds on every repeated class keep the time linear in the text, whoever wrote it.
_VALUE = r"(?:(?!\2)[^\\\n]|\\.){3,4000}"


def _rule(pattern: str, replacement: str) -> tuple[re.Pattern[str], str]:
    return re.compile(pattern, re.IGNORECASE), replacement


_RULES = (
    # A private key in PEM; one that was cut short is hidden up to the end of the text.
    _rule(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----END))*(?:-----END [A-Z ]{0,30}-----)?", HIDDEN),
    # One whose beginning was cut off.
    _rule(r"\A[A-Za-z0-9+/=\s]{0,20000}-----END [A-Z ]{0,30}PRIVATE KEY-----", HIDDEN),
    # Authorization: Bearer …, as a header, an entry of a dict or an option of curl.
    _rule(
        r"(authorization[\"']?\s{0,5}[:=,]\s{0,5}[frbu]{0,2}[\"']?(?:bearer|basic|token|digest|apikey) )"
        r"(?!\{)[^\s\"',{}()]{3,}",
        rf"\1{HIDDEN}",
    ),
    _rule(
        r"(authorization[\"']?\s{0,5}\]?\s{0,5}[:=,]\s{0,5}[\"'])(?!(?:bearer|basic|token|digest|apikey) )"
        r"[^\s\"'{}]{6,}",
        rf"\1{HIDDEN}",
    ),
    _rule(r"\b(bearer) [a-z0-9._~+/=-]{16,}", rf"\1 {HIDDEN}"),
    # scheme://user:password@host
    _rule(r"\b([a-z][a-z0-9+.-]{1,20}://[^\s:/?#@\"']{0,200}):(?!\{)[^\s/@\"']{1,500}@", rf"\1:{HIDDEN}@"),
    # Signed addresses: ?sig=…&X-Amz-Signature=…
    _rule(
        r"([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token)|access_token|token|api_?key|key)=)"
        r"(?!\{)[^&\s\"']{6,}",
        rf"\1{HIDDEN}",
    ),
    _rule(r"\b((?:Account|SharedAccess)(?:Key|Signature))=[^;\s\"']{6,}", rf"\1={HIDDEN}"),
    # Tokens known by their face: JWT, AWS, GitHub, GitLab, Slack, Hugging Face, Google, OpenAI and Stripe, PyPI, npm.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}"), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"), HIDDEN),
    (
        re.compile(r"\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}|\bgl(?:pat|dt|rt|cbt|ptt|soat)-[\w-]{16,}"),
        HIDDEN,
    ),
    (re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|\bhf_[A-Za-z0-9]{20,}|\bAIza[\w-]{35}|\bya29\.[\w-]{20,}"), HIDDEN),
    (re.compile(r"\b(hooks\.slack\.com/services/)[\w/]{10,}"), rf"\1{HIDDEN}"),
    (
        re.compile(r"\b[srp]k[-_](?:live|test|proj|ant|or)[-_][\w-]{16,}|\bpypi-[\w-]{32,}|\bnpm_[A-Za-z0-9]{30,}"),
        HIDDEN,
    ),
    # password="…", {"token": "…"}, os.environ["API_KEY"] = "…", setdefault("secret", "…"), token: str = "…"
    _rule(
        rf"({_NAME}[\"']?\s{{0,5}}\]?\s{{0,5}}(?::\s{{0,5}}[\w.| ]{{1,60}}=|[=:,])\s{{0,5}}[rbuf]{{0,2}})"
        rf"([\"']){_HARMLESS}{_VALUE}\2",
        rf"\1\2{HIDDEN}\2",
    ),
    # API_KEY=abc, as in a shell line; capitals only, since in lower case it is an argument's name.
    (re.compile(rf"\b((?:[A-Z0-9]{{1,30}}_){{0,8}}{_NAME.upper()}=)[^\s\"'=,;&(){{}}]{{3,}}"), rf"\1{HIDDEN}"),
    _rule(rf"(--[\w-]{{0,30}}{_NAME}[ =])(?![-{{$])[^\s\"']{{3,}}", rf"\1{HIDDEN}"),
    # password=hunter2, as in an exception's text: not a name alone, nor a call or an attribute.
    _rule(
        rf"\b((?:\w{{0,30}}_)?{_NAME}=)(?=[^\s\"',;&(){{}}\[\]]{{0,200}}[\d!@#$%^*+/-])(?![\"'=-])"
        r"[^\s\"',;&(){}\[\]]{4,}(?![\w.]{0,50}[(\[])",
        rf"\1{HIDDEN}",
    ),
    # key = "long hex or base64": the name is vague, so the value must look like nothing else.
    (
        re.compile(
            r"((?i:\b[\w-]{0,40}(?:key|salt|auth|signature))[\"']?\s{0,5}\]?\s{0,5}[=:]\s{0,5}[rbuf]{0,2})([\"'])"
            r"(?:[0-9a-fA-F]{32,}|(?=[a-z0-9+/_-]*[A-Z])(?=[A-Za-z+/_-]*[0-9])[A-Za-z0-9+/_-]{32,}={0,2})\2"
        ),
        rf"\1\2{HIDDEN}\2",
    ),
)


def scrub(text: str) -> str:
    """Return ``text`` with what looks like a secret replaced by ``***``.

    A net with holes: it knows common shapes and telling names, and can't know the rest. It may be called twice.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
