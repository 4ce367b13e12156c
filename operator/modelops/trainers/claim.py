# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "annotated-types==0.8.0",
#     "anyio==4.16.0 ; sys_platform != 'emscripten'",
#     "click==8.5.1",
#     "colorama==0.4.6 ; sys_platform == 'win32'",
#     "filelock==4.3.1",
#     "fsspec==2026.9.0",
#     "h11==0.16.0 ; sys_platform != 'emscripten'",
#     "hf-xet==1.8.0 ; platform_machine == 'AMD64' or platform_machine == 'ARM64' or platform_machine == 'aarch64' or platform_machine == 'amd64' or platform_machine == 'arm64' or platform_machine == 'x86_64'",
#     "httpcore2==2.16.2 ; sys_platform != 'emscripten'",
#     "httpx2==2.16.2",
#     "httpx2-jsfetch==1.0 ; python_full_version >= '3.12' and sys_platform == 'emscripten'",
#     "huggingface-hub==2.4.0",
#     "idna==3.20",
#     "packaging==26.4",
#     "pydantic==2.14.4",
#     "pydantic-core==2.50.5",
#     "pyyaml==6.0.4",
#     "ruamel-yaml==0.19.1",
#     "tqdm==4.70.1",
#     "truststore==0.10.5 ; sys_platform != 'emscripten'",
#     "typing-extensions==4.16.0",
#     "typing-inspection==0.4.5",
# ]
# ///
"""The second stage of a training job: claim the attempt, before 5.6 GB of packages are installed.

Two jobs of one attempt exist where the answer to a submission was lost. The one that comes too late then costs seconds:
it ends with exit code 75 after the few packages in the header above, which `make lock` writes. The claim is made for
the job's id, so that the trainer, which claims the attempt too, finds that it has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
else:
    import job as jobs


def nothing_more(_: jobs.Job) -> None:
    """What follows the claim in this stage."""


if __name__ == "__main__":
    jobs.run_and_exit(nothing_more)
