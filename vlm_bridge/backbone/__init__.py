"""Vision-language backbones behind one protocol: InternVL, Skywork-R1V3 (converted), and the small embedded one."""
