-- POSLog LineItem of the type StoredValue: gift cards that were sold or loaded, below zero those taken back. It is money that the
-- shop owes: in no total of pos_transaction and no line of pos_line_item, and the transaction's tenders come to total, rounding and
-- these. account_id names one card wherever it was used, and means nothing outside the shop's terminals.
CREATE VIEW pos_stored_value AS
SELECT t.terminal AS workstation_id, t.number AS sequence_number, t.business_day AS business_day_date,
       t.currency AS currency_code, CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'line' AS INTEGER) AS line_item_number,
       (CASE WHEN j.type = 'object' THEN j.value END) ->> 'card' AS card, coalesce((CASE WHEN j.type = 'object' THEN j.value END) ->> 'account', '') AS account_id,
       CAST((CASE WHEN j.type = 'object' THEN j.value END) ->> 'amount_minor' AS INTEGER) AS amount_minor,
       coalesce((CASE WHEN j.type = 'object' THEN j.value END) ->> 'reference', '') AS reference, t.epoch, t.seq AS record_seq
FROM retail_transaction t
JOIN record_body r ON r.terminal = t.terminal AND r.epoch = t.epoch AND r.seq = t.seq,
     json_each(CASE WHEN json_type(r.body, '$.stored_value') = 'array' THEN r.body -> 'stored_value' ELSE '[]' END) j;

-- What the payment device made of each change of a gift card's value, by its reference; the last word counts.
CREATE VIEW pos_stored_value_outcome AS
SELECT terminal AS workstation_id, body ->> 'reference' AS reference,
       CASE type WHEN 'stored_value_approved' THEN 'done' WHEN 'stored_value_refused' THEN 'refused' ELSE 'unknown' END AS outcome,
       coalesce(body ->> 'reason', '') AS reason, CAST(body ->> 'balance_minor' AS INTEGER) AS balance_minor,
       epoch, seq AS record_seq, time_ms
FROM record_body WHERE type IN ('stored_value_approved', 'stored_value_refused', 'stored_value_unknown');
