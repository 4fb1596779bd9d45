-- When headquarters stored a sale. Those from before this column was there have none.
ALTER TABLE retail_transaction ADD COLUMN stored_ms INTEGER;

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
       CASE WHEN json_valid(CAST(r.exact AS TEXT)) THEN CAST(r.exact AS TEXT) ->> 'clock' END AS clock,
       (SELECT coalesce(sum(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'amount_minor' AS INTEGER)), 0)
        FROM json_each(CASE WHEN json_type(b.body, '$.tenders') = 'array' THEN b.body -> 'tenders' ELSE '[]' END) j)
           - (SELECT coalesce(sum(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'amount_minor' AS INTEGER)), 0)
              FROM json_each(CASE WHEN json_type(b.body, '$.stored_value') = 'array' THEN b.body -> 'stored_value' ELSE '[]' END) j)
           - coalesce(CAST(b.body ->> 'rounding_minor' AS INTEGER), 0) AS tenders_minor,
       (SELECT coalesce(sum(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'gross_minor' AS INTEGER)), 0)
        FROM json_each(CASE WHEN json_type(b.body, '$.taxes') = 'array' THEN b.body -> 'taxes' ELSE '[]' END) j) AS taxes_minor
FROM retail_transaction t
JOIN record r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq
JOIN record_body b ON b.terminal = t.terminal AND b.epoch = t.epoch AND b.seq = t.seq;

CREATE VIEW quality_accuracy AS
SELECT terminal, business_day, count(*) AS sales,
       sum(CASE WHEN total_minor != tenders_minor OR total_minor != taxes_minor THEN 1 ELSE 0 END) AS disagreeing,
       sum(CASE WHEN coalesce(clock, '') NOT IN ('ntp', 'rtc') THEN 1 ELSE 0 END) AS clock_unsure
FROM quality_sale GROUP BY terminal, business_day;
