"""The system calls that an answer is refused, as a seccomp filter.

See the kernel's Documentation/userspace-api/seccomp_filter.rst.

It is a deny list, because Python itself needs many calls, and those differ between its versions. Numbers are from the
kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h). Only x86_64 has been run.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from functools import cache
from typing import Final

REFUSED: Final[dict[str, tuple[int | None, int | None]]] = {
    # The network. `socketpair` stays, which asyncio needs; its sockets must not address others.
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # Processes: none is started, none is read, none gets a signal.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # Memory that outlives the process or that no limit counts.
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    # What Landlock does not guard: metadata of files, and in its first versions their length.
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    # Namespaces, mounts, and doors into the kernel.
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
}
"""Calls that fail with EPERM whatever their arguments are: numbers on x86_64 and aarch64, None where there is none."""
ARCHITECTURES: Final = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's AUDIT_ARCH of a machine, and the column of the tables."""
_BY_ARGUMENT: Final[dict[str, tuple[int, int]]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prlimit64": (302, 261),
    "sendto": (44, 206),
    "fcntl": (72, 25),
    "ioctl": (16, 29),
}
_CLONE_THREAD = 0x10000
_SET_OWNER = (8, 10, 15)
"""fcntl's F_SETOWN, F_SETSIG and F_SETOWN_EX: they send signals to other processes."""
_SET_OWNER_BY_IOCTL = (0x8901, 0x8902)
_LOAD, _RETURN, _EQUAL, _AT_LEAST, _ANY_BIT = 0x20, 0x06, 0x15, 0x35, 0x45
_X32 = 0x40000000
_ANY_PID = 0x7FFFFFFF
"""Stands for a process in the filter that is made once; no process has this number, and no instruction this value."""
_INSTRUCTION_BYTES = 8
_PR_SET_SECCOMP, _FILTER = 22, 2

Instruction = tuple[int, int, int, int]


def _load(offset: int) -> Instruction:
    return (_LOAD, 0, 0, offset)


def _argument(number: int) -> int:
    """The offset of the lower half of an argument in `struct seccomp_data`."""
    return 16 + 8 * number


_ALLOW: Instruction = (_RETURN, 0, 0, 0x7FFF0000)
_KILL: Instruction = (_RETURN, 0, 0, 0x80000000)
_EPERM: Instruction = (_RETURN, 0, 0, 0x50000 | errno.EPERM)
_ENOSYS: Instruction = (_RETURN, 0, 0, 0x50000 | errno.ENOSYS)


def _on(number: int, *body: Instruction) -> list[Instruction]:
    """The body for this call; it ends with a return. Other calls go on behind it."""
    return [(_EQUAL, 0, len(body), number), *body]


def _refuse(numbers: list[int]) -> list[Instruction]:
    """EPERM for each of these calls. They share one return, because the kernel compiles the filter for each process."""
    last = len(numbers) - 1
    return [*((_EQUAL, last - at, int(at == last), one) for at, one in enumerate(numbers)), _EPERM]


def _only(argument: int, value: int) -> list[Instruction]:
    """Allow where the lower half of the argument has this value."""
    return [_load(_argument(argument)), (_EQUAL, 0, 1, value), _ALLOW, _EPERM]


def _none_of(argument: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow unless the argument has one of these values."""
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_load(_argument(argument)), *tests, _ALLOW, _EPERM]


def program(pid: int, machine: str) -> list[Instruction]:
    """The filter for the process `pid`. Raises KeyError for another machine than those of `ARCHITECTURES`."""
    audit, column = ARCHITECTURES[machine]
    number = {name: numbers[column] for name, numbers in _BY_ARGUMENT.items()}
    lines: list[Instruction] = [_load(4), (_EQUAL, 1, 0, audit), _KILL, _load(0)]
    if machine == "x86_64":
        lines += [(_AT_LEAST, 0, 1, _X32), _KILL]
    refused = [numbers[column] for numbers in REFUSED.values()]
    lines += _refuse([one for one in refused if one is not None])
    # The C library then uses clone, whose flags a filter can read.
    lines += _on(number["clone3"], _ENOSYS)
    lines += _on(number["clone"], _load(_argument(0)), (_ANY_BIT, 0, 1, _CLONE_THREAD), _ALLOW, _EPERM)
    lines += _on(number["kill"], *_only(0, pid))
    lines += _on(number["tgkill"], *_only(0, pid))
    lines += _on(number["prlimit64"], *_only(0, 0))
    address = _argument(4)
    no_address = [_load(address), (_EQUAL, 0, 3, 0), _load(address + 4), (_EQUAL, 0, 1, 0), _ALLOW, _EPERM]
    lines += _on(number["sendto"], *no_address)
    lines += _on(number["fcntl"], *_none_of(1, _SET_OWNER))
    lines += _on(number["ioctl"], *_none_of(1, _SET_OWNER_BY_IOCTL))
    return [*lines, _ALLOW]


@cache
def _template(machine: str) -> bytes:
    return b"".join(struct.pack("HBBI", *line) for line in program(_ANY_PID, machine))


def code(pid: int, machine: str) -> bytes:
    """The filter as the kernel reads it. All but the process's number is made once, before a process is forked."""
    return _template(machine).replace(struct.pack("I", _ANY_PID), struct.pack("I", pid))


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def apply(libc: ctypes.CDLL, pid: int) -> None:
    """Locks this process, which must have no_new_privs. Raises OSError."""
    filled = code(pid, platform.machine())
    buffer = ctypes.create_string_buffer(filled, len(filled))
    loaded = _Program(len(filled) // _INSTRUCTION_BYTES, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(loaded), 0, 0):
        raise OSError(ctypes.get_errno(), "the kernel refused the seccomp filter")
