-- What finance reads, by POSLog's names, out of the records' own bytes: it costs nothing to take them in. Kinds of record
-- that are not known here are passed over; amounts are whole minor units.

-- A record as JSON, or nothing: PostgreSQL cannot hold all that JSON can say (a NUL in a text, a number of a million
-- digits). What catches an error is a transaction within one, which parallel workers cannot have.
CREATE FUNCTION as_json(exact bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE PARALLEL UNSAFE AS $$
BEGIN
    RETURN replace(convert_from(exact, 'UTF8'), '\u0000', '\ufffd')::jsonb;
EXCEPTION WHEN others THEN
    RETURN NULL;
END $$;

-- A whole number, or nothing where something else stands there.
CREATE FUNCTION whole(value jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' AND value::text ~ '^-?[0-9]{1,18}$' THEN value::text::bigint END
$$;
CREATE FUNCTION whole(value jsonb, name text) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT whole(value -> name)';
CREATE FUNCTION whole(value jsonb, place integer) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT whole(value -> place)';

CREATE FUNCTION truth(value jsonb, name text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    'SELECT CASE WHEN value -> name = ''true'' THEN 1 ELSE 0 END';

-- An array's elements; none where there is no array.
CREATE FUNCTION elements(body jsonb, name text) RETURNS TABLE (value jsonb) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT jsonb_array_elements(CASE WHEN jsonb_typeof(body -> name) = 'array' THEN body -> name ELSE '[]' END)
$$;

CREATE VIEW record_body AS
SELECT r.terminal, r.epoch, r.seq, j.json ->> 'stream' AS stream, whole(j.json, 'time_ms') AS time_ms,
       j.json -> 'body' ->> 'type' AS type, j.json -> 'body' AS body
FROM record r, LATERAL (SELECT as_json(r.exact) AS json OFFSET 0) j;

-- A sale's records: from its opening, or its resumption, to the next one's. Those before the first opening of an epoch
-- belong to a sale that was open when the epoch before ended; its end says which.
CREATE VIEW sale_step AS
WITH marked AS (
    SELECT terminal, epoch, seq, type, body, whole(body, 'number') AS number,
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
       (r.body ->> 'ended') AS end_date_time, t.currency AS currency_code, coalesce((r.body ->> 'operator'), '') AS operator_id,
       coalesce((r.body ->> 'customer'), '') AS customer_id, whole(r.body, 'lines') AS line_item_count,
       t.total_minor, coalesce(whole(r.body, 'discount_minor'), 0) AS discount_minor,
       coalesce(whole(r.body, 'rounding_minor'), 0) AS rounding_minor, t.change_minor,
       coalesce((r.body ->> 'paper'), '') AS paper_number, t.epoch, t.seq AS record_seq, t.time_ms
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq;

-- POSLog TransactionStatus Cancelled: baskets that were given up.
CREATE VIEW pos_cancelled_transaction AS
SELECT terminal AS workstation_id, whole(body, 'number') AS sequence_number, (body ->> 'reason') AS reason,
       coalesce(whole(body, 'returned_minor'), 0) AS returned_minor, coalesce((body ->> 'operator'), '') AS operator_id,
       epoch, seq AS record_seq, time_ms
FROM record_body WHERE type = 'transaction_cancelled';

-- POSLog RetailPriceModifier: what each discount took off each line. Those said last before the completion are all.
CREATE VIEW pos_price_modifier AS
WITH said AS (
    SELECT c.*, max(step) OVER (PARTITION BY terminal, epoch, seq) AS last_step
    FROM completed_step c WHERE type = 'discounts_applied'
)
SELECT s.terminal AS workstation_id, s.number AS sequence_number, s.business_day AS business_day_date,
       whole(h.value, 0) AS line_item_number, whole(h.value, 1) AS amount_minor,
       (d.value ->> 'reason') AS reason_code, coalesce((d.value ->> 'promotion'), '') AS promotion_id,
       truth(d.value, 'whole') AS whole_basket, s.epoch, s.seq AS record_seq
FROM said s, LATERAL elements(s.body, 'discounts') d, LATERAL elements(d.value, 'shares') h
WHERE s.step = s.last_step;

-- POSLog LineItem: a transaction's lines as they stood at its completion, those taken back included (void_flag 1).
CREATE VIEW pos_line_item AS
WITH said AS (
    SELECT c.*, whole(c.body, 'line') AS line FROM completed_step c
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
           max(CASE WHEN step = quantity_step THEN whole(body, 'quantity_milli') END) AS quantity_milli,
           max(CASE WHEN step = price_step THEN whole(body, 'unit_price_minor') END) AS actual_minor,
           max(CASE WHEN type = 'item_added' THEN whole(body, 'unit_price_minor') END) AS regular_minor,
           max(CASE WHEN step = amount_step THEN whole(body, 'amount_minor') END) AS amount_minor,
           max(CASE WHEN voided_step > added_step THEN 1 ELSE 0 END) AS voided,
           max(CASE WHEN step = added_step THEN (body ->> 'gtin') END) AS gtin,
           max(CASE WHEN step = added_step THEN (body ->> 'name') END) AS name,
           max(CASE WHEN step = added_step THEN (body ->> 'unit') END) AS unit,
           max(CASE WHEN step = added_step THEN (body ->> 'tax') END) AS tax,
           max(CASE WHEN step = added_step THEN (body ->> 'entry_method') END) AS entry_method,
           max(CASE WHEN step = added_step THEN (body ->> 'lot') END) AS lot,
           max(CASE WHEN step = added_step THEN (body ->> 'serial') END) AS serial
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
       t.currency AS currency_code, (j.value ->> 'kind') AS tender_type_code, whole(j.value, 'amount_minor') AS amount_minor,
       t.epoch, t.seq AS record_seq
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     LATERAL elements(r.body, 'tenders') j;

-- POSLog Tax: a row for each tax group. The rate is percent_bp hundredths of a percent and more_ppm millionths.
CREATE VIEW pos_tax AS
SELECT t.terminal AS workstation_id, t.number AS sequence_number, t.business_day AS business_day_date,
       t.currency AS currency_code, (j.value ->> 'code') AS tax_group, whole(j.value, 'rate_bp') AS percent_bp,
       coalesce(whole(j.value, 'more_ppm'), 0) AS more_ppm, truth(j.value, 'included') AS tax_included,
       whole(j.value, 'gross_minor') AS gross_minor, whole(j.value, 'net_minor') AS taxable_amount_minor,
       whole(j.value, 'tax_minor') AS tax_amount_minor, truth(j.value, 'exempt') AS exempt,
       coalesce(whole(j.value, 'exempt_tax_minor'), 0) AS exempt_tax_amount_minor, t.epoch, t.seq AS record_seq
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     LATERAL elements(r.body, 'taxes') j;

-- ARTS TillSettlementTransaction: how each session of a till ended.
CREATE VIEW pos_till_settlement AS
SELECT terminal AS workstation_id, whole(body, 'session') AS session_number, (body ->> 'business_day') AS business_day_date,
       (body ->> 'ended') AS end_date_time, whole(body, 'expected_minor') AS expected_minor,
       whole(body, 'counted_minor') AS counted_minor, whole(body, 'over_short_minor') AS over_short_minor,
       coalesce((body ->> 'operator'), '') AS operator_id, coalesce((body ->> 'approver'), '') AS approver_id,
       epoch, seq AS record_seq, time_ms
FROM record_body WHERE type = 'till_settled';

-- ARTS TenderControlTransaction: cash into a till (float, loan, paid-in) above zero, out of it below.
CREATE VIEW pos_tender_control AS
WITH moved AS (
    SELECT terminal, epoch, seq, time_ms, type, body,
           max(CASE WHEN type = 'till_opened' THEN whole(body, 'session') END)
               OVER (PARTITION BY terminal, epoch ORDER BY seq) AS session
    FROM record_body WHERE type IN ('till_opened', 'cash_moved')
)
SELECT terminal AS workstation_id, session AS session_number,
       CASE WHEN type = 'till_opened' THEN 'float' ELSE (body ->> 'move') END AS move,
       CASE WHEN type = 'till_opened' THEN whole(body, 'float_minor')
            WHEN (body ->> 'move') IN ('loan', 'paid-in') THEN whole(body, 'amount_minor')
            ELSE -whole(body, 'amount_minor') END AS amount_minor,
       coalesce((body ->> 'reason'), '') AS reason, coalesce((body ->> 'operator'), '') AS operator_id,
       coalesce((body ->> 'approver'), '') AS approver_id, epoch, seq AS record_seq, time_ms
FROM moved;
