-- A sale that was open when its terminal died is completed in another epoch than it was begun in: its lines are found in
-- both, by the transaction's number.
DROP VIEW transaction_line;

CREATE VIEW transaction_line AS
WITH begun AS (
    SELECT t.*, (
        SELECT max(o.seq) FROM record_body o
        WHERE o.terminal = t.terminal AND o.epoch = t.epoch AND o.seq < t.seq AND o.type = 'transaction_opened'
    ) AS opened_seq
    FROM retail_transaction t
), elsewhere AS (
    SELECT b.terminal, b.epoch, b.seq, o.epoch AS opened_epoch, max(o.seq) AS opened_seq
    FROM begun b
    JOIN record_body o ON o.terminal = b.terminal AND o.epoch != b.epoch AND o.type = 'transaction_opened'
         AND json_extract(o.body, '$.number') = b.number
    WHERE b.opened_seq IS NULL
    GROUP BY b.terminal, b.epoch, b.seq
), place AS (
    -- Where a sale's records may stand, in their order: its part of the epoch before, then that of its own epoch.
    SELECT terminal, epoch, seq, number, 1 AS part, epoch AS at_epoch, coalesce(opened_seq, 0) AS first, seq AS last
    FROM begun
    UNION ALL
    SELECT e.terminal, e.epoch, e.seq, b.number, 0, e.opened_epoch, e.opened_seq, 9223372036854775807
    FROM elsewhere e JOIN begun b ON b.terminal = e.terminal AND b.epoch = e.epoch AND b.seq = e.seq
), step AS (
    SELECT p.terminal, p.epoch, p.seq, p.number, p.part, r.seq AS at_seq, r.type, r.body,
           json_extract(r.body, '$.line') AS line
    FROM place p
    JOIN record_body r ON r.terminal = p.terminal AND r.epoch = p.at_epoch AND r.seq BETWEEN p.first AND p.last
         AND r.type IN ('item_added', 'quantity_changed', 'line_voided')
)
SELECT a.terminal, a.epoch, a.seq, a.number, a.line,
       json_extract(a.body, '$.gtin') AS gtin,
       json_extract(a.body, '$.name') AS name,
       json_extract(a.body, '$.unit') AS unit,
       coalesce(json_extract(c.body, '$.quantity_milli'), json_extract(a.body, '$.quantity_milli')) AS quantity_milli,
       coalesce(json_extract(c.body, '$.amount_minor'), json_extract(a.body, '$.amount_minor')) AS amount_minor,
       json_extract(a.body, '$.unit_price_minor') AS unit_price_minor,
       json_extract(a.body, '$.tax') AS tax,
       EXISTS (
           SELECT 1 FROM step v
           WHERE v.terminal = a.terminal AND v.epoch = a.epoch AND v.seq = a.seq AND v.type = 'line_voided'
             AND v.line = a.line AND (v.part, v.at_seq) > (a.part, a.at_seq)
       ) AS voided
FROM step a
LEFT JOIN step c ON c.type = 'quantity_changed' AND (c.terminal, c.epoch, c.seq, c.part, c.at_seq) = (
    SELECT q.terminal, q.epoch, q.seq, q.part, q.at_seq FROM step q
    WHERE q.terminal = a.terminal AND q.epoch = a.epoch AND q.seq = a.seq AND q.type = 'quantity_changed'
      AND q.line = a.line
    ORDER BY q.part DESC, q.at_seq DESC LIMIT 1
)
WHERE a.type = 'item_added';
