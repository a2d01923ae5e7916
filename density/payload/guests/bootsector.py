"""The null guest: a boot sector that prints one line on the serial port and halts. The floor of what a VM costs."""

SAYS = "density ready"
"""The line it prints; a guest without a payload says no more than this."""

IMAGE_BYTES = 2**20
"""SeaBIOS reads a virtio disk of a single sector with an error, so the image is padded."""

_SECTOR_BYTES = 512
_SIGNATURE = b"\x55\xaa"

# Loaded at 0000:7c00 in real mode. Interrupts are off, so that `hlt` lasts.
_LISTING = (
    ("fa", "cli"),
    ("fc", "cld"),
    ("31 c0", "xor  ax, ax"),
    ("8e d8", "mov  ds, ax"),
    ("be 22 7c", "mov  si, text          ; 7c22"),
    ("ac", "next: lodsb            ; 7c09"),
    ("84 c0", "test al, al"),
    ("74 11", "jz   halt"),
    ("88 c3", "mov  bl, al"),
    ("ba fd 03", "mov  dx, 3fdh          ; COM1, line status"),
    ("ec", "wait: in al, dx        ; 7c13"),
    ("a8 20", "test al, 20h           ; is there room for a byte?"),
    ("74 fb", "jz   wait"),
    ("88 d8", "mov  al, bl"),
    ("b2 f8", "mov  dl, 0f8h          ; COM1, data"),
    ("ee", "out  dx, al"),
    ("eb ea", "jmp  next"),
    ("f4", "halt: hlt              ; 7c1f"),
    ("eb fd", "jmp  halt"),
)


def boot_sector() -> bytes:
    """The 512 bytes: code, text, zeros, signature."""
    code = b"".join(bytes.fromhex(octets) for octets, _ in _LISTING)
    text = SAYS.encode() + b"\n\0"
    return (code + text).ljust(_SECTOR_BYTES - len(_SIGNATURE), b"\0") + _SIGNATURE


def boot_image() -> bytes:
    """A raw disk image that begins with the boot sector."""
    return boot_sector().ljust(IMAGE_BYTES, b"\0")
