"""The flags of LiteRT's CompiledModel `benchmark_model`, and its help, of August 2026."""

from __future__ import annotations

import sys
from typing import NoReturn

FLAGS = {
    "num_runs": ("50", "int32"),
    "min_secs": ("1", "float"),
    "max_secs": ("150", "float"),
    "run_delay": ("-1", "float"),
    "run_frequency": ("-1", "float"),
    "num_threads": ("-1", "int32"),
    "use_caching": ("false", "bool"),
    "benchmark_name": ("", "string"),
    "output_prefix": ("", "string"),
    "warmup_runs": ("1", "int32"),
    "warmup_min_secs": ("0.5", "float"),
    "verbose": ("false", "bool"),
    "dry_run": ("false", "bool"),
    "report_peak_memory_footprint": ("false", "bool"),
    "memory_footprint_check_interval_ms": ("50", "int32"),
    "gpu_invoke_loop_times": ("1", "int32"),
    "graph": ("", "string"),
    "signature_to_run_for": ("", "string"),
    "use_cpu": ("true", "bool"),
    "use_gpu": ("false", "bool"),
    "use_npu": ("false", "bool"),
    "dispatch_library_path": ("", "string"),
    "compiler_plugin_library_path": ("", "string"),
    "compiler_cache_path": ("", "string"),
    "require_full_delegation": ("false", "bool"),
    "use_profiler": ("false", "bool"),
    "enable_perfetto": ("false", "bool"),
    "gpu_backend": ("", "string"),
    "gpu-precision": ("auto", "string"),
    "gpu_low_priority": ("false", "bool"),
    "result_file_path": ("", "string"),
    "model_runtime_info_output_file": ("", "string"),
    "mediatek_nerun_pilot_version": ("version8", "string"),
    "input_layer_value_range": ("", "string"),
    "enable_weight_sharing": ("false", "bool"),
    "convert_weights_on_gpu": ("false", "bool"),
    "gpu_serialization_dir": ("", "string"),
    "gpu_model_cache_key": ("", "string"),
    "gpu_serialize_external_tensors": ("false", "bool"),
    "gpu_prefer_texture_weights": ("false", "bool"),
    "gpu_wait_for_weights_conversion_complete": ("false", "bool"),
    "gpu_cache_compiled_programs_only": ("false", "bool"),
    "xnnpack_weight_cache_file_path": ("", "string"),
}
"""The tool's flags: the default, and the type as `--help` writes it."""
_VENDOR_FLAGS = {
    "qualcomm_htp_performance_mode": ("HTP performance mode.", "default"),
    "google_tensor_performance_mode": ("Performance mode.", "default"),
    "mediatek_performance_mode_type": ("Performance mode.", "sustained_speed"),
}


def print_help(known: dict[str, str]) -> NoReturn:
    """Print what `--help` prints, with the flags `known` and their defaults, and end."""
    print("\n  NPU Vendor Flags from LiteRT:")
    for name, (text, value) in _VENDOR_FLAGS.items():
        print(f"    --{name} ({text}); default: {value};")
    print("\nINFO: STARTING!", flush=True)
    rows = [f"\t--{n + '=' + v:<45}\t{FLAGS[n][1]}\toptional\t..." for n, v in known.items()]
    print("ERROR: usage: benchmark_model <flags>\nFlags:", *rows, sep="\n", file=sys.stderr)
    sys.exit(0)
