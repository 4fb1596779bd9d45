-- When headquarters stored a sale. Those from before this column was there have none.
ALTER TABLE retail_transaction ADD COLUMN stored_ms bigint;

-- How long a sale took to get here, for each terminal and day, in milliseconds. ahead: its clock was a minute ahead of ours.
CREATE VIEW quality_timeliness AS
WITH ranked AS (
    SELECT terminal, business_day, time_ms, stored_ms, stored_ms - time_ms AS delay_ms,
           row_number() OVER (PARTITION BY terminal, business_day ORDER BY stored_ms - time_ms) AS place,
           count(*) OVER (PARTITION BY terminal, business_day) AS sales
    FROM retail_transaction WHERE stored_ms IS NOT NULL
)
SELECT terminal, business_day, max(sales) AS sales,
       min(CASE WHEN 100 * place >= 50 * sales THEN delay_ms END) AS delay_ms_p50,
       min(CASE WHEN 100 * place >= 99 * sales THEN delay_ms END) AS delay_ms_p99,
       max(delay_ms) AS delay_ms_max,
       sum(CASE WHEN delay_ms < -60000 THEN 1 ELSE 0 END) AS ahead
FROM ranked GROUP BY terminal, business_day;

-- Records that later ones prove to exist. They were written before before_ms, when the one after them was.
CREATE VIEW quality_gap AS
WITH followed AS (
    SELECT e.terminal, e.epoch, r.seq, coalesce(lag(r.seq) OVER (PARTITION BY e.terminal, e.epoch ORDER BY r.seq), e.hwm) AS before
    FROM epoch e JOIN record r ON r.terminal = e.terminal AND r.epoch = e.epoch AND r.seq > e.hwm
    WHERE e.top_seq > e.hwm
)
SELECT f.terminal, f.epoch, f.before + 1 AS first_seq, f.seq - 1 AS last_seq, b.time_ms AS before_ms
FROM followed f JOIN record_body b ON b.terminal = f.terminal AND b.epoch = f.epoch AND b.seq = f.seq
WHERE f.seq > f.before + 1
  AND NOT EXISTS (
      SELECT 1 FROM quarantine q
      WHERE q.terminal = f.terminal AND q.epoch = f.epoch AND q.passed = 1
        AND q.first_seq <= f.before + 1 AND q.last_seq >= f.seq - 1
  );

-- Whether a sale's parts come to what it says of itself (tenders to total, rounding and gift cards), and what its terminal said of its own clock.
CREATE VIEW quality_sale AS
SELECT t.terminal, t.business_day, t.epoch, t.seq, t.number, t.currency, t.total_minor, t.time_ms, t.stored_ms,
       j.json ->> 'clock' AS clock,
       (SELECT coalesce(sum(whole(e.value, 'amount_minor')), 0) FROM elements(j.json -> 'body', 'tenders') e)
           - (SELECT coalesce(sum(whole(e.value, 'amount_minor')), 0) FROM elements(j.json -> 'body', 'stored_value') e)
           - coalesce(whole(j.json -> 'body', 'rounding_minor'), 0) AS tenders_minor,
       (SELECT coalesce(sum(whole(e.value, 'gross_minor')), 0) FROM elements(j.json -> 'body', 'taxes') e) AS taxes_minor
FROM retail_transaction t
JOIN record r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     LATERAL (SELECT as_json(r.exact) AS json OFFSET 0) j;

CREATE VIEW quality_accuracy AS
SELECT terminal, business_day, count(*) AS sales,
       sum(CASE WHEN total_minor != tenders_minor OR total_minor != taxes_minor THEN 1 ELSE 0 END) AS disagreeing,
       sum(CASE WHEN coalesce(clock, '') NOT IN ('ntp', 'rtc') THEN 1 ELSE 0 END) AS clock_unsure
FROM quality_sale GROUP BY terminal, business_day;
