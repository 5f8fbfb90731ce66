"""The ways in which a run ends badly, by the words of tools, shells and systems: one table.

The first row that a log's lines match tells the class. Causes stand before what they lead to: a
delegate's own words before "Failed to apply", and both before "Benchmarking failed".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nas.devices.failures import FailureClass

_SHELL = r"(?:[\w./-]{0,40}sh|su|env|exec|taskset|timeout|nohup|nice|sudo|run-as|adb|linker\w{0,4})"
_CAN_NOT = (
    r"(?:inaccessible or )?not found$|No such file or directory|[Pp]ermission denied"
    r"|not executable|[Ee]xec format error|cannot execute|wrong ELF|Operation not permitted"
)
NOT_STARTED = re.compile(
    rf"^(?:{_SHELL}: (?!.{{0,200}}\.tflite\b).{{0,300}}?(?:{_CAN_NOT})"
    r"|zsh: (?:permission denied|no such file or directory|command not found|exec format error): "
    rf"|[\w./-]{{0,200}}benchmark[\w./-]{{0,100}}: (?:{_CAN_NOT})"
    r"|.{0,80}CANNOT LINK EXECUTABLE|.{0,200}error while loading shared libraries"
    r"|.{0,80}Library not loaded: |.{0,200}version `GLIBC\w{0,4}_[\d.]{1,12}' not found"
    r"|.{0,200}executable's TLS segment is underaligned|.{0,200}has unexpected e_machine"
    r"|.{0,200}is not recognized as an internal or external command"
    r"|.{0,80}Activity class \{.{0,200}\} does not exist|.{0,40}could not load library \"lib)"
)
"""Lines of a tool that was not even started: it is missing, may not run, or lacks a library."""
_DELEGATE = r"[^)]{0,100}(?:Delegate|DISPATCH|LITERT_)[^)]{0,100}"


@dataclass(frozen=True)
class Ending:
    """A class of failure, and the pattern of the lines that show it.

    `soft`: the tool may go on, on the CPU; then it is no failure of a plain CPU run. `follow`: the
    line says where, and the line before it why.
    """

    failure_class: FailureClass
    pattern: re.Pattern[str]
    soft: bool = False
    follow: bool = False


def _row(
    failure_class: FailureClass, *words: str, soft: bool = False, follow: bool = False
) -> Ending:
    return Ending(failure_class, re.compile("|".join(words)), soft, follow)


DRIVER_DIED = re.compile(
    r"DEAD_OBJECT|CDSP crashed|ADSP crashed|service .{1,200} died|service unexpectedly died"
)
"""Lines that tell the death of NNAPI's driver."""
PROCESS_DIED = re.compile(r"Fatal signal \d")
"""Lines that tell the death of a process of the phone."""
NNAPI_ERROR = re.compile(r"NN API returned error (\w{1,80})")
"""A refusal of NNAPI's, with its result code."""
ENDINGS: tuple[Ending, ...] = (
    _row(
        "device_offline",
        r"error: device offline|adb: device offline",
        r"(?:error|adb): device '[^']{0,100}' not found",
        r"no devices/emulators found|error: no devices found",
        r"^(?:adb: )?error: closed|device still connecting|cannot connect to daemon",
        r"error: protocol fault",
    ),
    _row("unauthorized", r"device unauthorized|device still authorizing"),
    Ending("tool_not_started", NOT_STARTED),
    _row("timeout", r"^Terminated\b|timed out after \d|killed by timeout"),
    _row("storage_full", r"No space left on device|Disk quota exceeded"),
    _row(
        "bad_input",
        r"[Tt]he size of .{1,300} is -?\d{1,20} bytes\. It should be",
        r"Failed to read the input_layer_value_file|The number of string in the input_layer_value",
        r"Please specify the name of your TF Lite input file",
        r"The number of items in --input_layer_shape|Wrong (?:low and high|input value)",
        r"Any unknown sizes in the shapes|Incorrect size string specified",
        r"Inputs mismatch: Model inputs|Input tensor #\d{1,9} should have \d{1,9} dimensions",
        r"Cannot find the corresponding input_layer|Signature not specified or incorrect",
        r"full delegation and CPU acceleration are incompatible|number of elements overflowed",
    ),
    _row(
        "oom",
        r"OUT_OF_MEMORY|bad_alloc|^Killed\b|^Kill '[^']{0,100}(?:benchmark|tflite)|Out of memory",
        r"Cannot allocate memory|lowmemorykiller: Kill|zsh: killed|oom-kill|oom_reaper",
        r"^(?:\[\d{1,5}\]\s{0,4}[+-]?\s{0,4}|.{0,80}: (?:line \d{1,9}: )?\d{1,10} )Killed\b",
        r"CL_OUT_OF_(?:HOST_MEMORY|RESOURCES)|CL_MEM_OBJECT_ALLOCATION_FAILURE",
    ),
    _row(
        "crash",
        r"Fatal signal \d|[Ss]egmentation fault|\bAborted\b(?! by)|zsh: abort|zsh: bus error",
        r"\bSIG(?:SEGV|ABRT|BUS|ILL|FPE)\b|^Bus error|^Illegal instruction|zsh: illegal hardware",
        r"Floating point exception|Check failed: |terminating (?:with|due to) uncaught exception",
        r"stack smashing detected|double free or corruption|corrupted size vs\. prev_size",
    ),
    Ending("driver_crash", DRIVER_DIED),
    Ending("nnapi_error", NNAPI_ERROR),
    _row(
        "op_refused",
        r"TensorFlow op\(?s\)?(?:, included in the given model, is\(are\)| are) not supported by",
        r"[Uu]nresolved custom op|Didn't find custom op(?:eration)? for",
        r"Delegate kernel was not initialized",
        r"[Uu]nsupported (?:data ?|tensor )?type[:( ]{1,3}(?:\d{1,3} in tensor|\w{0,12}INT[24])",
        r"(?:[Tt]ype|TYPE|type\()[ '(]{0,3}\w{0,12}INT[24]\b.{0,40}not (?:yet )?supported",
        r"INT[24] .{0,60}(?:not supported|unsupported)",
    ),
    _row("model_unreadable", r"Didn't find op for builtin opcode"),
    _row(
        "npu_libraries",
        r"Unsupported (?:dispatch runtime|compiler plugin) version",
        r"Found Dispatch API with an unsupported version",
        r"Failed to load plugin at: .{1,300} with error",
        r"Qnn (?:[Ss]ystem |backend )?library version .{1,60} is (?:not supported|mismatched)",
        r"QAIRT SDK v[\d.]{1,20} is not supported",
        r"Failed to load (?:qnn|NeuronAdapter) (?:system )?shared library",
        r"No dispatch library found in",
        soft=True,
    ),
    _row(
        "delegate_refused",
        r"\[QNN Delegate\].{0,200}(?:[Ff]ail|[Ee]rror|[Uu]nable)",
        r"(?:QNN|Qnn).{0,200}(?:error|Error|err)\s{0,2}[=:]?\s{0,2}(?:0x)?\d{3,}",
        r"Failed to (?:create|obtain|set up|load|initialize) (?:a )?QNN|QNN manager is not",
        r"Failed to create device_handle for Backend|Failed to initialize Dispatch API",
        r"Failed to create a dispatch delegate|No usable Dispatch runtime",
        r"[Dd]ispatch delegate(?: kernel)? failed|Couldn't initialize the dispatch delegate",
        r"No dispatch library found|Failed to apply compiler plugins|Plugin errs: \S",
        r"Unable to load external delegate|Could not load external delegate",
        r"Failed to load delegate from|Failed to load stable ABI delegate",
        r"TfLite(?:Gpu|Metal)Delegate (?:Init|Prepare|\w{1,20} \(async\)): (?!delegate is not)",
        r"dynamic-sized tensors|Failed to build program executable",
        r"Disallowed CPU fallback|Hint fully delegated to single delegate is set",
        r"Some ops are not accelerated\. Add",
        soft=True,
    ),
    _row(
        "delegate_refused",
        r"Failed to apply (?!the default TensorFlow Lite delegate)(?!delegates\.)",
        rf"Node number \d{{1,9}} \((?!TfLiteFlex){_DELEGATE}\) failed to prepare",
        r"after delegate application|Failed to apply delegates\.",
        r"(?:delegate|Delegate) (?:isn't|is not|not) supported|Couldn't create .{1,80} delegate",
        soft=True,
    ),
    _row("op_refused", r"Node number \d{1,9} \([^)]{1,200}\) failed to prepare", follow=True),
    _row("invoke_failed", r"Node number \d{1,9} \([^)]{1,200}\) failed to invoke", follow=True),
    _row(
        "invoke_failed",
        r"TfLiteGpuDelegate Invoke: |Failed to invoke\b|^Run failed\b|Failed to execute graph",
        r"Failed to execute invocation context|Failed to invoke context|Client requested cancel",
    ),
    _row(
        "model_unreadable",
        r"Failed to (?:load|read|mmap|build|initialize) (?:the )?model",
        r"Failed to (?:construct|initialize the) interpreter|Mmap of .{1,200} failed",
        r"not a valid (?:TF ?Lite|Flatbuffer|flatbuffer)|Could not open|model identifier",
        r"Model provided is schema version|Failed to parse model file size",
        r"\.tflite['\"]?: (?:No such file|Permission denied)",
    ),
    _row(
        "bad_input",
        r"Failed to (?:resize|allocate) (?:input|tensors)",
        r"input_layer.{0,200}(?:not|mismatch|wrong)|Size of .{0,200}mismatch",
        r"input file.{0,100}size",
        r"Please provide .{0,200}input|doesn't match the size of the input",
    ),
    _row("delegate_refused", r"Failed to compile model", soft=True),
    _row("tool_not_started", r"[Pp]ermission denied$"),
)
"""The endings in the order in which they are looked for."""
EXITS: dict[int, FailureClass] = {
    124: "timeout",
    126: "tool_not_started",
    127: "tool_not_started",
    132: "crash",
    134: "crash",
    135: "crash",
    136: "crash",
    137: "oom",
    139: "crash",
}
"""What the shell's exit codes tell where no line does."""
