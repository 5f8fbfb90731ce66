"""The paper's manual search as a fixed study in steps, and its tables and figures beside ours.

"Deploying Image Deblurring across Mobile Devices: A Perspective of Quality and Latency" (Chiang et
al., CVPR Workshops 2020). Which networks the steps try, at which scale, is said by
`studies.paper`; what the paper published by `nas.devices.paper_phones.published`.
"""

from nas.paper.steps import Entry, NetworkList, PaperScale, PaperStep

__all__ = ["Entry", "NetworkList", "PaperScale", "PaperStep"]
