"""Mails as programs of people write them, and the text that must come out: (name, octets, text).

Each was written for this file, in the form that its program gives mails: charsets, encodings, quotes, signatures.
"""

import base64
import quopri
from email.header import Header
from typing import Final

ME: Final = "Jane Doe <jane@example.com>"


def _wire(head: str, body: bytes) -> bytes:
    lines = head.strip().replace("\n", "\r\n").encode()
    return lines + b"\r\n\r\n" + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _qp(text: str, charset: str = "utf-8") -> bytes:
    return quopri.encodestring(text.encode(charset))


def _b64(text: str, charset: str = "utf-8") -> bytes:
    return base64.encodebytes(text.encode(charset))


def _part(kind: str, encoding: str, body: bytes, more: str = "") -> bytes:
    head = f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n{more}\r\n"
    return head.encode() + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _multi(head: str, sub: str, boundary: str, *parts: bytes) -> bytes:
    lines = head.strip() + f'\nContent-Type: multipart/{sub}; boundary="{boundary}"'
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return lines.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body + b"--" + boundary.encode() + b"--\r\n"


def _nested(sub: str, boundary: str, *parts: bytes) -> bytes:
    whole = _multi("X: y", sub, boundary, *parts)
    return whole.partition(b"\r\n")[2]


def _from(**more: str) -> str:
    further = "".join(f"\n{name.replace('_', '-')}: {value}" for name, value in more.items())
    return f"From: {ME}\nTo: 61491570156@sms.example\nMIME-Version: 1.0\nMessage-ID: <x@mail.example>{further}"


GIF: Final = base64.encodebytes(b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00")

GMAIL_REPLY = _multi(
    _from(Subject="Re: Delivery", In_Reply_To="<1@sms.example>"),
    "alternative",
    "000000000000f3a1c5062b1a",
    _part(
        'text/plain; charset="UTF-8"',
        "quoted-printable",
        _qp(
            "Yes, Tuesday at ten is fine - see you then!\n\nOn Mon, Nov 30, 2026 at 9:12 AM +61491999007 <\n"
            "61491999007@sms.example> wrote:\n\n> You've received a reply from +61491999007:\n>\n> Is"
            " Tuesday fine?\n>\n"
        ),
    ),
    _part(
        'text/html; charset="UTF-8"',
        "quoted-printable",
        _qp('<div dir="ltr">Yes</div><div class="gmail_quote">On … wrote:<blockquote>old</blockquote></div>'),
    ),
)
GMAIL_GERMAN = _wire(
    _from(Subject="AW: Termin") + '\nContent-Type: text/plain; charset="UTF-8"\nContent-Transfer-Encoding: base64',
    _b64(
        "Größe passt, danke.\r\n\r\nAm Mo., 30. Nov. 2026 um 09:12 Uhr schrieb Jörg Müller"
        " <\r\njoerg@example.de>:\r\n\r\n"
        "> Passt die Größe?\r\n>\r\n"
    ),
)
GMAIL_SPANISH = _wire(
    _from(Subject="Re: Cita")
    + '\nContent-Type: text/plain; charset="UTF-8"\nContent-Transfer-Encoding: quoted-printable',
    _qp(
        "Sí, mañana a las 10.\n\nEl lun, 30 nov 2026 a las 9:12, Ana García (<ana@example.es>)\nescribió:\n\n"
        "> ¿Mañana?\n"
    ),
)
GMAIL_FRENCH = _wire(
    _from() + '\nContent-Type: text/plain; charset="UTF-8"\nContent-Transfer-Encoding: quoted-printable',
    _qp("D'accord pour jeudi.\n\nLe lun. 30 nov. 2026 à 09:12, Léa Dupont <lea@example.fr> a écrit :\n\n> Jeudi ?\n"),
)
OUTLOOK_DESKTOP = _multi(
    _from(Subject="RE: Invoice", X_Mailer="Microsoft Outlook 16.0", X_Auto_Response_Suppress="All"),
    "alternative",
    "----=_NextPart_000_0012_01DB43",
    _part(
        'text/plain;\r\n\tcharset="us-ascii"',
        "7bit",
        b"Paid this morning.\n\n \n\nFrom: Accounts <accounts@example.com> \nSent: Monday, 30 November 2026 09:12\n"
        b"To: Jane Doe <jane@example.com>\nSubject: Invoice\n\n \n\nPlease pay.\n",
    ),
    _part('text/html;\r\n\tcharset="us-ascii"', "quoted-printable", _qp("<html><body><p>Paid</p></body></html>")),
)
OUTLOOK_MOBILE = _multi(
    _from(Subject="Late"),
    "alternative",
    "_000_SY4P282MB",
    _part(
        'text/plain; charset="iso-8859-1"',
        "quoted-printable",
        _qp(
            "Running 10 minutes late, sorry café is full\n\nGet Outlook for iOS<https://aka.ms/o0ukef>\n", "iso-8859-1"
        ),
    ),
    _part('text/html; charset="iso-8859-1"', "quoted-printable", _qp("<p>x</p>")),
)
OUTLOOK_HTML_ONLY = _wire(
    _from(Subject="Note")
    + '\nContent-Type: text/html; charset="windows-1252"\nContent-Transfer-Encoding: quoted-printable',
    _qp(
        "<html xmlns:o=3D'urn'><head><style><!-- @font-face {font-family:Calibri;} p.MsoNormal"
        " {margin:0cm;} --></style>"
        "<title>t</title></head><body lang=EN-AU><div class=WordSection1><p"
        " class=MsoNormal>“Quoted” price: €5<o:p></o:p>"
        "</p><p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>Second line</p></div></body></html>".replace(
            "=3D", "="
        ),
        "windows-1252",
    ),
)
OUTLOOK_GERMAN = _wire(
    _from(Subject="AW: Frage") + '\nContent-Type: text/plain; charset="iso-8859-1"\nContent-Transfer-Encoding: 8bit',
    (
        "Ja, geht klar.\n\nMit freundlichen Grüßen\nJane Doe\n\nVon: Max"
        " <max@example.de>\nGesendet: Montag, 30. November"
        " 2026 09:12\nAn: Jane\nBetreff: Frage\n\nGeht das?\n"
    ).encode("iso-8859-1"),
)
EXCHANGE = _multi(
    _from(
        Subject="=?utf-8?B?UmU6IFNjaMO2bg==?=",
        Thread_Topic="x",
        X_MS_Has_Attach="yes",
        X_Auto_Response_Suppress="DR, OOF, AutoReply",
    ),
    "mixed",
    "_004_DB9PR04",
    _nested(
        "alternative",
        "_000_DB9PR04",
        _part('text/plain; charset="utf-8"', "base64", _b64("The report is attached.\r\n")),
        _part('text/html; charset="utf-8"', "base64", _b64("<p>The report is attached.</p>")),
    ),
    _part(
        'application/pdf; name="report.pdf"',
        "base64",
        _b64("%PDF"),
        'Content-Disposition: attachment; filename="r.pdf"\r\n',
    ),
)
APPLE_MAIL = _multi(
    _from(Subject="Re: Keys", X_Mailer="Apple Mail (2.3776.700.51)"),
    "alternative",
    "Apple-Mail=_5B2C",
    _part(
        "text/plain;\r\n\tcharset=utf-8",
        "quoted-printable",
        _qp(
            "The keys are under the mat.\n\n> On 30 Nov 2026, at 9:12 am, Bob <bob@example.com> wrote:\n> \n"
            "> Where are the keys?\n"
        ),
    ),
    _part("text/html;\r\n\tcharset=utf-8", "quoted-printable", _qp("<html><body>The keys</body></html>")),
)
IPHONE = _wire(
    _from(X_Mailer="iPhone Mail (23B85)")
    + "\nContent-Type: text/plain;\n\tcharset=us-ascii\nContent-Transfer-Encoding: quoted-printable",
    _qp("On my way\n\nSent from my iPhone\n\n> On 30 Nov 2026, at 09:12, Bob <bob@example.com> wrote:\n> \n> Where?\n"),
)
IPHONE_FRENCH = _wire(
    _from() + "\nContent-Type: text/plain;\n\tcharset=utf-8\nContent-Transfer-Encoding: quoted-printable",
    _qp(
        "J'arrive à 18 h\n\nEnvoyé de mon iPhone\n\n> Le 30 nov. 2026 à 09:12, Léa"
        " <lea@example.fr> a écrit :\n> \n> Où ?\n"
    ),
)
IPHONE_PICTURE = _multi(
    _from(),
    "mixed",
    "Apple-Mail-77",
    _part("text/plain;\r\n\tcharset=us-ascii", "7bit", b"Look at this\n\n\n"),
    _part('image/gif; name="a.gif"', "base64", GIF, "Content-Disposition: inline; filename=a.gif\r\n"),
    _part("text/plain;\r\n\tcharset=us-ascii", "7bit", b"\n\nSent from my iPad\n"),
)
IPHONE_JAPANESE = _wire(
    _from(Subject=Header("件名", "iso-2022-jp").encode())
    + "\nContent-Type: text/plain; charset=ISO-2022-JP\nContent-Transfer-Encoding: 7bit",
    "了解しました。\n\niPhoneから送信\n\n2026/11/30 9:12、田中 <tanaka@example.jp>のメール:\n\n> 大丈夫ですか\n".encode(
        "iso-2022-jp"
    ),
)
THUNDERBIRD = _wire(
    _from(User_Agent="Mozilla Thunderbird")
    + "\nContent-Type: text/plain; charset=UTF-8; format=flowed\nContent-Transfer-Encoding: 8bit",
    (b"Works for me, too.\n\n-- \nJane Doe\nACME Ltd, 1 Road\n\nOn 30/11/2026 09:12, Bob wrote:\n> Does it work?\n"),
)
THUNDERBIRD_BELOW = _wire(
    _from() + "\nContent-Type: text/plain; charset=UTF-8; format=flowed\nContent-Transfer-Encoding: 8bit",
    "Am 30.11.26 um 09:12 schrieb Bob:\n> Geht es?\n> Bitte sofort.\n\nJa, läuft wieder.\n\n-- \nJane\n".encode(),
)
THUNDERBIRD_ITALIAN = _wire(
    _from() + "\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit",
    b"Perfetto, grazie mille.\n\nIl 30/11/2026 09:12, Bob ha scritto:\n> Va bene?\n",
)
ANDROID = _multi(
    _from(),
    "alternative",
    "--_com.samsung.android.email_123",
    _part('text/plain; charset="utf-8"', "base64", _b64("Battery is low 🔋 call me\n\n\nSent from my Galaxy\n")),
    _part('text/html; charset="utf-8"', "base64", _b64("<p>Battery</p>")),
)
YAHOO_HTML = _wire(
    _from() + "\nContent-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: 8bit",
    (
        b"<html><body><div>Door code is <b>4711</b>#</div><ul><li>north door</li></ul><div"
        b' id="yahoo_quoted"><div>On Monday,'
        b" 30 November 2026 at 09:12:00 am AEDT, Bob &lt;bob@example.com&gt; wrote:</div><blockquote>Code?</blockquote>"
        b"</div></body></html>"
    ),
)
MONITORING = _wire(
    _from(Subject="[ALERT] disk")
    + "\nContent-Type: text/plain; charset=x-unknown-8bit\nContent-Transfer-Encoding: 8bit",
    "Warning: /var is 95 % full on host größe\n- db1\n- db2\n".encode(),
)
LATIN = _wire(
    _from() + "\nContent-Type: text/plain; charset=klingon\nContent-Transfer-Encoding: 8bit",
    "Señor, mañana\n".encode("windows-1252"),
)
OUTLOOK_DUTCH = _wire(
    _from() + "\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit",
    b"Prima, tot morgen.\n\nVerzonden vanaf mijn iPhone\n\n> Op 30 nov 2026 om 09:12 heeft Bob"
    b" <b@example.nl> het volgende"
    b" geschreven:\n> \n> Morgen?\n",
)
CHINESE = _wire(
    _from() + "\nContent-Type: text/plain; charset=GB18030\nContent-Transfer-Encoding: base64",
    _b64("好的 明天见。\n\n在 2026年11月30日 09:12 王先生 <wang@example.cn> 写道\uff1a\n> 明天见吗\n", "gb18030"),
)

MAILS: Final[list[tuple[str, bytes, str]]] = [
    ("Gmail", GMAIL_REPLY, "Yes, Tuesday at ten is fine - see you then!"),
    ("Gmail, German", GMAIL_GERMAN, "Größe passt, danke."),
    ("Gmail, Spanish", GMAIL_SPANISH, "Sí, mañana a las 10."),
    ("Gmail, French", GMAIL_FRENCH, "D'accord pour jeudi."),
    ("Outlook", OUTLOOK_DESKTOP, "Paid this morning."),
    ("Outlook for iOS", OUTLOOK_MOBILE, "Running 10 minutes late, sorry café is full"),
    ("Outlook, HTML only", OUTLOOK_HTML_ONLY, "“Quoted” price: €5\n\nSecond line"),
    ("Outlook, German", OUTLOOK_GERMAN, "Ja, geht klar."),
    ("Exchange, with a file", EXCHANGE, "The report is attached."),
    ("Apple Mail", APPLE_MAIL, "The keys are under the mat."),
    ("iPhone", IPHONE, "On my way"),
    ("iPhone, French", IPHONE_FRENCH, "J'arrive à 18 h"),
    ("iPhone, with a picture", IPHONE_PICTURE, "Look at this"),
    ("iPhone, Japanese", IPHONE_JAPANESE, "了解しました。"),
    ("Thunderbird", THUNDERBIRD, "Works for me, too."),
    ("Thunderbird, answer below", THUNDERBIRD_BELOW, "Ja, läuft wieder."),
    ("Thunderbird, Italian", THUNDERBIRD_ITALIAN, "Perfetto, grazie mille."),
    ("Android", ANDROID, "Battery is low 🔋 call me"),
    ("Yahoo, HTML only", YAHOO_HTML, "Door code is 4711#\n* north door"),
    ("a monitoring program", MONITORING, "Warning: /var is 95 % full on host größe\n- db1\n- db2"),
    ("a charset that nobody knows", LATIN, "Señor, mañana"),
    ("iPhone, Dutch", OUTLOOK_DUTCH, "Prima, tot morgen."),
    ("Chinese", CHINESE, "好的 明天见。"),
]
