-- One row for each applicant with earlier credit cards.
WITH months AS (
    SELECT
        credit_card_balance.*,
        MONTHS_BALANCE >= -6 AS recent,
        CAST(AMT_BALANCE AS DOUBLE) / NULLIF(CAST(AMT_CREDIT_LIMIT_ACTUAL AS DOUBLE), 0) AS utilisation,
        RANK() OVER (PARTITION BY SK_ID_CURR ORDER BY MONTHS_BALANCE DESC) AS recency
    FROM credit_card_balance
)
SELECT
    SK_ID_CURR,
    COUNT(*) AS card_months,  -- Months of earlier credit cards on record
    COUNT(DISTINCT SK_ID_PREV) AS card_cards,  -- Earlier credit cards
    MAX(MONTHS_BALANCE) AS card_last_month,  -- Newest month on record, negative
    MIN(MONTHS_BALANCE) AS card_first_month,  -- Oldest month on record, negative
    COUNT(*) FILTER (WHERE NAME_CONTRACT_STATUS = 'Active') AS card_active_months,  -- Months in which a card was active
    COUNT(*) FILTER (WHERE AMT_BALANCE > 0) AS card_months_in_debt,  -- Months with a balance
    CAST(COUNT(*) FILTER (WHERE AMT_BALANCE > 0) AS DOUBLE) / COUNT(*) AS card_share_in_debt,  -- Share of the months with a balance
    MAX(AMT_BALANCE) AS card_balance_max,  -- Largest balance
    CAST(SUM(AMT_BALANCE) AS DOUBLE) / COUNT(AMT_BALANCE) AS card_balance_mean,  -- Mean balance
    SUM(AMT_BALANCE) FILTER (WHERE recency = 1) AS card_balance_last,  -- Balance of the newest month
    MAX(AMT_CREDIT_LIMIT_ACTUAL) AS card_limit_max,  -- Largest limit
    MIN(AMT_CREDIT_LIMIT_ACTUAL) AS card_limit_min,  -- Lowest limit
    CAST(SUM(AMT_CREDIT_LIMIT_ACTUAL) AS DOUBLE) / COUNT(AMT_CREDIT_LIMIT_ACTUAL) AS card_limit_mean,  -- Mean limit
    MAX(utilisation) AS card_utilisation_max,  -- Highest balance over limit
    CAST(SUM(AMT_BALANCE) AS DOUBLE) / NULLIF(CAST(SUM(AMT_CREDIT_LIMIT_ACTUAL) AS DOUBLE), 0) AS card_utilisation,  -- Balance over limit, over all months
    CAST(SUM(AMT_BALANCE) FILTER (WHERE recent) AS DOUBLE)
        / NULLIF(CAST(SUM(AMT_CREDIT_LIMIT_ACTUAL) FILTER (WHERE recent) AS DOUBLE), 0) AS card_utilisation_last_half_year,  -- Balance over limit in the last six months
    CAST(SUM(AMT_BALANCE) FILTER (WHERE recent) AS DOUBLE)
        / NULLIF(CAST(SUM(AMT_CREDIT_LIMIT_ACTUAL) FILTER (WHERE recent) AS DOUBLE), 0)
        - CAST(SUM(AMT_BALANCE) AS DOUBLE)
        / NULLIF(CAST(SUM(AMT_CREDIT_LIMIT_ACTUAL) AS DOUBLE), 0) AS card_utilisation_trend,  -- Balance over limit in the last six months less that of all months: above 0 it rises
    COUNT(*) FILTER (WHERE utilisation > 0.9) AS card_months_at_limit,  -- Months with more than 90 % of the limit used
    SUM(AMT_DRAWINGS_CURRENT) AS card_drawn_sum,  -- All drawings together
    CAST(SUM(AMT_DRAWINGS_CURRENT) AS DOUBLE) / COUNT(AMT_DRAWINGS_CURRENT) AS card_drawn_mean,  -- Mean drawings of a month
    MAX(AMT_DRAWINGS_CURRENT) AS card_drawn_max,  -- Largest drawings of a month
    SUM(AMT_DRAWINGS_ATM_CURRENT) AS card_drawn_cash_sum,  -- All drawings of cash together
    CAST(SUM(AMT_DRAWINGS_ATM_CURRENT) AS DOUBLE) / NULLIF(CAST(SUM(AMT_DRAWINGS_CURRENT) AS DOUBLE), 0) AS card_drawn_cash_share,  -- Share of the drawings that was cash
    SUM(AMT_DRAWINGS_POS_CURRENT) AS card_drawn_goods_sum,  -- All drawings for goods together
    SUM(CNT_DRAWINGS_CURRENT) AS card_drawings,  -- Number of drawings
    CAST(SUM(CNT_DRAWINGS_CURRENT) AS DOUBLE) / COUNT(CNT_DRAWINGS_CURRENT) AS card_drawings_mean,  -- Mean number of drawings of a month
    CAST(SUM(CNT_DRAWINGS_ATM_CURRENT) AS DOUBLE) / COUNT(CNT_DRAWINGS_ATM_CURRENT) AS card_cash_drawings_mean,  -- Mean number of drawings of cash of a month
    CAST(SUM(CNT_DRAWINGS_CURRENT) FILTER (WHERE recent) AS DOUBLE)
        / NULLIF(COUNT(CNT_DRAWINGS_CURRENT) FILTER (WHERE recent), 0)
        - CAST(SUM(CNT_DRAWINGS_CURRENT) AS DOUBLE) / NULLIF(COUNT(CNT_DRAWINGS_CURRENT), 0) AS card_drawings_trend,  -- Mean drawings of the last six months less those of all months
    SUM(AMT_PAYMENT_TOTAL_CURRENT) AS card_paid_sum,  -- All payments together
    CAST(SUM(AMT_PAYMENT_TOTAL_CURRENT) AS DOUBLE) / COUNT(AMT_PAYMENT_TOTAL_CURRENT) AS card_paid_mean,  -- Mean payment of a month
    CAST(SUM(AMT_PAYMENT_TOTAL_CURRENT) AS DOUBLE) / NULLIF(CAST(SUM(AMT_INST_MIN_REGULARITY) AS DOUBLE), 0) AS card_paid_to_minimum,  -- Paid over the lowest instalments
    COUNT(*) FILTER (WHERE AMT_PAYMENT_TOTAL_CURRENT < AMT_INST_MIN_REGULARITY) AS card_months_below_minimum,  -- Months with less paid than the lowest instalment
    MAX(AMT_TOTAL_RECEIVABLE) AS card_receivable_max,  -- Largest amount receivable
    CAST(SUM(AMT_RECEIVABLE_PRINCIPAL) AS DOUBLE) / NULLIF(CAST(SUM(AMT_TOTAL_RECEIVABLE) AS DOUBLE), 0) AS card_principal_share,  -- Share of the principal in what is receivable
    MAX(CNT_INSTALMENT_MATURE_CUM) AS card_instalments_paid,  -- Most instalments paid on a card
    MAX(SK_DPD) AS card_dpd_max,  -- Most days past due
    MAX(SK_DPD_DEF) AS card_dpd_tolerant_max,  -- Most days past due, small debts left out
    COUNT(*) FILTER (WHERE SK_DPD > 0) AS card_late_months,  -- Months past due
    CAST(COUNT(*) FILTER (WHERE SK_DPD > 0) AS DOUBLE) / COUNT(*) AS card_late_share,  -- Share of the months past due
    COUNT(*) FILTER (WHERE SK_DPD > 0 AND recent) AS card_late_last_half_year,  -- Months past due in the last six months
    COUNT(*) FILTER (WHERE SK_DPD_DEF > 0) AS card_late_months_tolerant  -- Months past due, small debts left out
FROM months
GROUP BY SK_ID_CURR
