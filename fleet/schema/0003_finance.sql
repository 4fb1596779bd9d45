-- What finance reads, by POSLog's names, out of the records' own bytes: it costs nothing to take them in. Kinds of record
-- that are not known here are passed over; amounts are whole minor units.
DROP VIEW transaction_line;
DROP VIEW transaction_tax;
DROP VIEW transaction_tender;
DROP VIEW record_body;

CREATE VIEW record_body AS
SELECT terminal, epoch, seq,
       json ->> 'stream' AS stream,
       CAST(json ->> 'time_ms' AS INTEGER) AS time_ms,
       json -> 'body' ->> 'type' AS type,
       json -> 'body' AS body
FROM (
    SELECT terminal, epoch, seq, CASE WHEN json_valid(CAST(exact AS TEXT)) THEN CAST(exact AS TEXT) END AS json FROM record
);

-- A sale's records: from its opening, or its resumption, to the next one's. Those before the first opening of an epoch
-- belong to a sale that was open when the epoch before ended; its end says which.
CREATE VIEW sale_step AS
WITH marked AS (
    SELECT terminal, epoch, seq, type, body, CAST(body ->> 'number' AS INTEGER) AS number,
           sum(CASE WHEN type IN ('transaction_opened', 'transaction_resumed') THEN 1 ELSE 0 END)
               OVER (PARTITION BY terminal, epoch ORDER BY seq) AS part
    FROM record_body
    WHERE type IN ('transaction_opened', 'transaction_resumed', 'transaction_suspended', 'transaction_cancelled',
                   'transaction_completed', 'item_added', 'quantity_changed', 'line_voided', 'price_overridden',
                   'line_repriced', 'discounts_applied')
)
SELECT terminal, epoch, seq, type, body,
       coalesce(max(CASE WHEN type IN ('transaction_opened', 'transaction_resumed') THEN number END) OVER whole_part,
                max(CASE WHEN type IN ('transaction_completed', 'transaction_cancelled', 'transaction_suspended')
                         THEN number END) OVER whole_part) AS number
FROM marked
WINDOW whole_part AS (PARTITION BY terminal, epoch, part);

-- The same under the transaction that they led to, in their order: what stands in another epoch came before.
CREATE VIEW completed_step AS
WITH begun AS (
    SELECT DISTINCT terminal, epoch, number FROM sale_step WHERE type = 'transaction_opened'
)
SELECT t.terminal, t.epoch, t.seq, t.number, t.business_day, s.type, s.body,
       row_number() OVER (
           PARTITION BY t.terminal, t.epoch, t.seq ORDER BY CASE WHEN s.epoch = t.epoch THEN 1 ELSE 0 END, s.epoch, s.seq
       ) AS step
FROM retail_transaction t
LEFT JOIN begun b ON b.terminal = t.terminal AND b.epoch = t.epoch AND b.number = t.number
JOIN sale_step s ON s.terminal = t.terminal AND s.number = t.number AND (s.epoch = t.epoch OR b.number IS NULL)
WHERE s.epoch != t.epoch OR s.seq <= t.seq;

-- POSLog RetailTransaction: one row a completed sale or return.
CREATE VIEW pos_transaction AS
SELECT t.terminal AS workstation_id, t.number AS sequence_number, t.business_day AS business_day_date,
       r.body ->> 'ended' AS end_date_time, t.currency AS currency_code, coalesce(r.body ->> 'operator', '') AS operator_id,
       coalesce(r.body ->> 'customer', '') AS customer_id, CAST(r.body ->> 'lines' AS INTEGER) AS line_item_count,
       t.total_minor, coalesce(CAST(r.body ->> 'discount_minor' AS INTEGER), 0) AS discount_minor,
       coalesce(CAST(r.body ->> 'rounding_minor' AS INTEGER), 0) AS rounding_minor, t.change_minor,
       coalesce(r.body ->> 'paper', '') AS paper_number, t.epoch, t.seq AS record_seq, t.time_ms
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq;

-- POSLog TransactionStatus Cancelled: baskets that were given up.
CREATE VIEW pos_cancelled_transaction AS
SELECT terminal AS workstation_id, CAST(body ->> 'number' AS INTEGER) AS sequence_number, body ->> 'reason' AS reason,
       coalesce(CAST(body ->> 'returned_minor' AS INTEGER), 0) AS returned_minor, coalesce(body ->> 'operator', '') AS operator_id,
       epoch, seq AS record_seq, time_ms
FROM record_body WHERE type = 'transaction_cancelled';

-- POSLog RetailPriceModifier: what each discount took off each line. Those said last before the completion are all.
CREATE VIEW pos_price_modifier AS
WITH said AS (
    SELECT c.*, max(step) OVER (PARTITION BY terminal, epoch, seq) AS last_step
    FROM completed_step c WHERE type = 'discounts_applied'
)
SELECT s.terminal AS workstation_id, s.number AS sequence_number, s.business_day AS business_day_date,
       CAST(CASE WHEN h.type = 'array' THEN h.value ->> 0 END AS INTEGER) AS line_item_number, CAST(CASE WHEN h.type = 'array' THEN h.value ->> 1 END AS INTEGER) AS amount_minor,
       (CASE WHEN d.type = 'object' THEN d.value END) ->> 'reason' AS reason_code, coalesce((CASE WHEN d.type = 'object' THEN d.value END) ->> 'promotion', '') AS promotion_id,
       coalesce(CAST((CASE WHEN d.type = 'object' THEN d.value END) ->> 'whole' AS INTEGER), 0) AS whole_basket, s.epoch, s.seq AS record_seq
FROM said s, json_each(CASE WHEN json_type(s.body, '$.discounts') = 'array' THEN s.body -> 'discounts' ELSE '[]' END) d, json_each(CASE WHEN json_type(CASE WHEN d.type = 'object' THEN d.value END, '$.shares') = 'array' THEN (CASE WHEN d.type = 'object' THEN d.value END) -> 'shares' ELSE '[]' END) h
WHERE s.step = s.last_step;

-- POSLog LineItem: a transaction's lines as they stood at its completion, those taken back included (void_flag 1).
CREATE VIEW pos_line_item AS
WITH said AS (
    SELECT c.*, CAST(c.body ->> 'line' AS INTEGER) AS line FROM completed_step c
    WHERE type IN ('item_added', 'quantity_changed', 'line_voided', 'price_overridden', 'line_repriced')
), ranked AS (
    SELECT s.*,
           max(CASE WHEN type = 'item_added' THEN step END) OVER of_line AS added_step,
           max(CASE WHEN type = 'line_voided' THEN step END) OVER of_line AS voided_step,
           max(CASE WHEN type IN ('item_added', 'quantity_changed') THEN step END) OVER of_line AS quantity_step,
           max(CASE WHEN type IN ('item_added', 'price_overridden', 'line_repriced') THEN step END) OVER of_line
               AS price_step,
           max(CASE WHEN type != 'line_voided' THEN step END) OVER of_line AS amount_step
    FROM said s
    WINDOW of_line AS (PARTITION BY terminal, epoch, seq, line)
), line AS (
    SELECT terminal, epoch, seq, number, business_day, line,
           max(CASE WHEN step = quantity_step THEN CAST(body ->> 'quantity_milli' AS INTEGER) END) AS quantity_milli,
           max(CASE WHEN step = price_step THEN CAST(body ->> 'unit_price_minor' AS INTEGER) END) AS actual_minor,
           max(CASE WHEN type = 'item_added' THEN CAST(body ->> 'unit_price_minor' AS INTEGER) END) AS regular_minor,
           max(CASE WHEN step = amount_step THEN CAST(body ->> 'amount_minor' AS INTEGER) END) AS amount_minor,
           max(CASE WHEN voided_step > added_step THEN 1 ELSE 0 END) AS voided,
           max(CASE WHEN step = added_step THEN body ->> 'gtin' END) AS gtin,
           max(CASE WHEN step = added_step THEN body ->> 'name' END) AS name,
           max(CASE WHEN step = added_step THEN body ->> 'unit' END) AS unit,
           max(CASE WHEN step = added_step THEN body ->> 'tax' END) AS tax,
           max(CASE WHEN step = added_step THEN body ->> 'entry_method' END) AS entry_method,
           max(CASE WHEN step = added_step THEN body ->> 'lot' END) AS lot,
           max(CASE WHEN step = added_step THEN body ->> 'serial' END) AS serial
    FROM ranked WHERE added_step IS NOT NULL
    GROUP BY terminal, epoch, seq, number, business_day, line
)
SELECT l.terminal AS workstation_id, l.number AS sequence_number, l.business_day AS business_day_date,
       l.line AS line_item_number, l.gtin AS item_id, l.name AS description, l.entry_method,
       l.unit AS unit_of_measure, l.quantity_milli, l.regular_minor AS regular_sales_unit_price_minor,
       l.actual_minor AS actual_sales_unit_price_minor, l.amount_minor AS extended_amount_minor,
       l.tax AS tax_group, l.voided AS void_flag, coalesce(l.lot, '') AS lot, coalesce(l.serial, '') AS serial,
       l.epoch, l.seq AS record_seq
FROM line l;

-- POSLog Tender: what was taken by each kind of tender, change already given back; below zero is what was given.
CREATE VIEW pos_tender AS
SELECT t.terminal AS workstation_id, t.number AS sequence_number, t.business_day AS business_day_date,
       t.currency AS currency_code, (CASE WHEN j.type = 'object' THEN j.value END) ->> 'kind' AS tender_type_code, CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'amount_minor' AS INTEGER) AS amount_minor,
       t.epoch, t.seq AS record_seq
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     json_each(CASE WHEN json_type(r.body, '$.tenders') = 'array' THEN r.body -> 'tenders' ELSE '[]' END) j;

-- POSLog Tax: a row for each tax group. The rate is percent_bp hundredths of a percent and more_ppm millionths.
CREATE VIEW pos_tax AS
SELECT t.terminal AS workstation_id, t.number AS sequence_number, t.business_day AS business_day_date,
       t.currency AS currency_code, (CASE WHEN j.type = 'object' THEN j.value END) ->> 'code' AS tax_group, CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'rate_bp' AS INTEGER) AS percent_bp,
       coalesce(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'more_ppm' AS INTEGER), 0) AS more_ppm, coalesce(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'included' AS INTEGER), 0) AS tax_included,
       CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'gross_minor' AS INTEGER) AS gross_minor, CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'net_minor' AS INTEGER) AS taxable_amount_minor,
       CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'tax_minor' AS INTEGER) AS tax_amount_minor, coalesce(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'exempt' AS INTEGER), 0) AS exempt,
       coalesce(CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'exempt_tax_minor' AS INTEGER), 0) AS exempt_tax_amount_minor, t.epoch, t.seq AS record_seq
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     json_each(CASE WHEN json_type(r.body, '$.taxes') = 'array' THEN r.body -> 'taxes' ELSE '[]' END) j;

-- ARTS TillSettlementTransaction: how each session of a till ended.
CREATE VIEW pos_till_settlement AS
SELECT terminal AS workstation_id, CAST(body ->> 'session' AS INTEGER) AS session_number, body ->> 'business_day' AS business_day_date,
       body ->> 'ended' AS end_date_time, CAST(body ->> 'expected_minor' AS INTEGER) AS expected_minor,
       CAST(body ->> 'counted_minor' AS INTEGER) AS counted_minor, CAST(body ->> 'over_short_minor' AS INTEGER) AS over_short_minor,
       coalesce(body ->> 'operator', '') AS operator_id, coalesce(body ->> 'approver', '') AS approver_id,
       epoch, seq AS record_seq, time_ms
FROM record_body WHERE type = 'till_settled';

-- ARTS TenderControlTransaction: cash into a till (float, loan, paid-in) above zero, out of it below.
CREATE VIEW pos_tender_control AS
WITH moved AS (
    SELECT terminal, epoch, seq, time_ms, type, body,
           max(CASE WHEN type = 'till_opened' THEN CAST(body ->> 'session' AS INTEGER) END)
               OVER (PARTITION BY terminal, epoch ORDER BY seq) AS session
    FROM record_body WHERE type IN ('till_opened', 'cash_moved')
)
SELECT terminal AS workstation_id, session AS session_number,
       CASE WHEN type = 'till_opened' THEN 'float' ELSE body ->> 'move' END AS move,
       CASE WHEN type = 'till_opened' THEN CAST(body ->> 'float_minor' AS INTEGER)
            WHEN body ->> 'move' IN ('loan', 'paid-in') THEN CAST(body ->> 'amount_minor' AS INTEGER)
            ELSE -CAST(body ->> 'amount_minor' AS INTEGER) END AS amount_minor,
       coalesce(body ->> 'reason', '') AS reason, coalesce(body ->> 'operator', '') AS operator_id,
       coalesce(body ->> 'approver', '') AS approver_id, epoch, seq AS record_seq, time_ms
FROM moved;
