// The one page of heliolog: readings become quarters of an hour, quarters become a sparkline and three figures.

const QUARTER_MS = 15 * 60 * 1000;
const BLOCKS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/**
 * Mean power of each quarter of an hour.
 * Readings come as {time: milliseconds, watts: number}, in any order; quarters without a reading are left out, not set to zero.
 */
export function quarters(readings) {
  const sums = new Map();
  for (const { time, watts } of readings) {
    const start = Math.floor(time / QUARTER_MS) * QUARTER_MS;
    const sum = sums.get(start) ?? { total: 0, count: 0 };
    sum.total += watts;
    sum.count += 1;
    sums.set(start, sum);
  }
  return [...sums.entries()]
    .sort(([a], [b]) => a - b)
    .map(([start, { total, count }]) => ({ start, watts: total / count, count }));
}

/** Energy of the day in kilowatt-hours. A gap of up to an hour is bridged with the mean of its two ends; a longer one is lost. */
export function energyKwh(list) {
  let wattHours = 0;
  list.forEach((quarter, i) => {
    wattHours += quarter.watts / 4;
    const next = list[i + 1];
    const missing = next ? (next.start - quarter.start) / QUARTER_MS - 1 : 0;
    if (missing > 0 && missing <= 4) {
      wattHours += (missing * (quarter.watts + next.watts)) / 2 / 4;
    }
  });
  return wattHours / 1000;
}

/** A line of block characters, as high as the power: ▁▂▄▇█▇▄▂▁ */
export function sparkline(list, peakWatts) {
  return list
    .map(({ watts }) => {
      const share = Math.min(1, Math.max(0, watts / peakWatts));
      return BLOCKS[Math.round(share * (BLOCKS.length - 1))];
    })
    .join("");
}

/** "3 minutes ago", in the language of the page; used beside every roof so that a silent logger is noticed. */
export function lastSeen(time, now = Date.now(), locale = "en") {
  const minutes = Math.round((now - time) / 60000);
  const format = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  if (minutes < 60) return format.format(-minutes, "minute");
  if (minutes < 48 * 60) return format.format(-Math.round(minutes / 60), "hour");
  return format.format(-Math.round(minutes / 1440), "day");
}

/** Fill one card of the page. A roof that has been silent for a quarter of an hour in daylight is marked. */
export function showRoof(card, roof, readings, now = Date.now()) {
  const list = quarters(readings);
  const latest = Math.max(...readings.map((reading) => reading.time));
  card.querySelector(".name").textContent = roof.name;
  card.querySelector(".spark").textContent = sparkline(list, roof.peakWatts);
  card.querySelector(".today").textContent = `${energyKwh(list).toFixed(1)} kWh`;
  card.querySelector(".seen").textContent = lastSeen(latest, now, document.documentElement.lang);
  card.classList.toggle("silent", roof.daylight && now - latest > QUARTER_MS);
}
