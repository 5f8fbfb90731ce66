"""States of phones as their own commands print them."""

from __future__ import annotations

from nas.devices.phone.conditions import Conditions, parse_conditions

UNFIT = """#thermal
IsStatusOverride: false
Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=99.0, mType=3, mName=skin, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
\tTemperature{mValue=33.5, mType=3, mName=skin, mStatus=0}
\tTemperature{mValue=-274.0, mType=2, mName=battery, mStatus=0}
Current cooling devices from HAL:
\tCoolingDevice{mValue=9, mType=2, mName=fan}
#battery
  AC powered: false
  USB powered: true
  level: 17
  temperature: 285
#power
  mWakefulness=Asleep
#load
9.30 5.11 4.20 3/1200 4711
#build
maker/phone:10/X/1
#boot
abc-def
#cpu
cpu0 1800000 1800000 250
cpu1 1800000 1500000 250
cpu10 2840000 2840000 1024
"""


def look(
    load: str = "1.20 1.10 1.00 2/900 4711",
    prime: str = "3187200 3187200",
    sensor: str = "mValue=31.0, mType=3, mName=skin, mStatus=0",
    status: int = 0,
    battery: str = "USB powered: true\n  present: true\n  level: 83\n  temperature: 285",
    cooling: int = 0,
) -> Conditions:
    """A phone of eight cores at one moment, as its own commands print it."""
    return parse_conditions(
        f"#thermal\nThermal Status: {status}\nCurrent temperatures from HAL:\n"
        f"\tTemperature{{{sensor}}}\n\tTemperature{{mValue=33.0, mType=0, mName=CPU0, mStatus=0}}\n"
        "Current cooling devices from HAL:\n"
        f"\tCoolingDevice{{mValue={cooling}, mType=2, mName=thermal-cpufreq-0}}\n"
        f"#battery\n  {battery}\n#power\n  mWakefulness=Awake\n#load\n{load}\n#build\na/b:14\n"
        "#boot\n0\n#cpu\n"
        + "".join(f"cpu{n} 1800000 1800000 250\n" for n in range(7))
        + f"cpu7 {prime} 1024\n"
    )
