"""Tomorrow's yield of a small solar roof, from the height of the sun and the cloud cover.

No weather model and no learning: the sun's path is geometry, the cloud cover comes from the forecast for the town, and one factor per
roof, fitted to its own readings, takes up everything else (dirt, shade, a proud owner's idea of the tilt).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from math import acos, asin, cos, degrees, pi, pow, radians, sin, tan

SOLAR_CONSTANT_KW = 1.361
QUARTERS_PER_DAY = 96


@dataclass(frozen=True)
class Roof:
    """A roof: latitude and tilt in degrees, azimuth in degrees from south (west is positive), peak power in kW."""

    latitude: float
    tilt: float
    azimuth: float
    peak_kw: float
    factor: float = 0.86


def declination(day: date) -> float:
    """How far the sun stands north of the equator on a day, in degrees.

    >>> round(declination(date(2024, 6, 21)), 1)
    23.4
    """
    return 23.44 * sin(2 * pi * (day.timetuple().tm_yday + 284) / 365)


def daylight_hours(latitude: float, day: date) -> float:
    """Hours between sunrise and sunset, without refraction; 0 in polar night, 24 in polar day.

    >>> round(daylight_hours(54.6, date(2024, 12, 21)), 1)
    7.0
    """
    cosine = -tan(radians(latitude)) * tan(radians(declination(day)))
    return 2 * degrees(acos(min(1.0, max(-1.0, cosine)))) / 15


def sun_height(latitude: float, day: date, hour: float) -> float:
    """Degrees of the sun above the horizon at an hour of solar time; negative at night."""
    tilt, place = radians(declination(day)), radians(latitude)
    turn = radians(15 * (hour - 12))
    return degrees(asin(sin(place) * sin(tilt) + cos(place) * cos(tilt) * cos(turn)))


def clear_sky_kw(height: float) -> float:
    """Power of sunlight on a square metre that faces the sun, under a clear sky, by the air it has to cross."""
    if height <= 0:
        return 0.0
    air_mass = 1 / (sin(radians(height)) + 0.50572 * pow(height + 6.07995, -1.6364))
    return SOLAR_CONSTANT_KW * pow(0.7, pow(air_mass, 0.678))


def facing(roof: Roof, day: date, hour: float) -> float:
    """Cosine between the sun and the normal of the roof, 0 when the sun stands behind it."""
    height = radians(sun_height(roof.latitude, day, hour))
    turn = radians(15 * (hour - 12) - roof.azimuth)
    tilt = radians(roof.tilt)
    return max(0.0, sin(height) * cos(tilt) + cos(height) * sin(tilt) * cos(turn))


def forecast_kwh(roof: Roof, day: date, cloud_cover: Sequence[float]) -> float:
    """Energy the roof will give on a day, in kWh.

    cloud_cover   24 shares between 0 (clear) and 1 (overcast), one for each hour

    A closed cover lets a quarter of the light through, a half-closed one most of it: the loss grows with the power 3.4.

    >>> barn = Roof(latitude=54.6, tilt=32, azimuth=10, peak_kw=31.2)
    >>> forecast_kwh(barn, date(2024, 6, 21), [0.0] * 24) > 4 * forecast_kwh(barn, date(2024, 12, 21), [0.0] * 24)
    True
    """
    if len(cloud_cover) != 24:
        raise ValueError(f"cloud cover needs 24 hourly values, got {len(cloud_cover)}")
    energy = 0.0
    for quarter in range(QUARTERS_PER_DAY):
        hour = (quarter + 0.5) / 4
        light = clear_sky_kw(sun_height(roof.latitude, day, hour)) * facing(roof, day, hour)
        energy += light * (1 - 0.75 * pow(cloud_cover[int(hour)], 3.4)) / 4
    return roof.peak_kw * roof.factor * energy


def fitted_factor(expected_kwh: Sequence[float], measured_kwh: Sequence[float]) -> float:
    """The factor that makes past forecasts agree best with the meter, by least squares.

    >>> fitted_factor([10.0, 20.0], [8.0, 16.0])
    0.8
    """
    products = sum(e * m for e, m in zip(expected_kwh, measured_kwh, strict=True))
    return products / sum(e * e for e in expected_kwh)
