"""The paper's manual search runs here as a fixed study in steps, and its tables stand beside ours.

"Deploying Image Deblurring across Mobile Devices: A Perspective of Quality and Latency" (Chiang et
al., CVPR Workshops 2020). `studies.paper` says which networks the steps try, and at which scale;
`nas.devices.paper_phones.published` holds what the paper published.
"""

from nas.paper.steps import Entry, NetworkList, PaperScale, PaperStep

__all__ = ["Entry", "NetworkList", "PaperScale", "PaperStep"]
