-- One row for each applicant who applied at Home Credit before.
WITH earlier AS (
    SELECT
        previous_application.*,
        application.AMT_CREDIT AS new_credit,
        application.AMT_ANNUITY AS new_annuity,
        CAST(previous_application.AMT_CREDIT AS DOUBLE)
            / NULLIF(CAST(previous_application.AMT_APPLICATION AS DOUBLE), 0) AS granted_share,
        CAST(previous_application.AMT_ANNUITY AS DOUBLE) * previous_application.CNT_PAYMENT
            / NULLIF(CAST(previous_application.AMT_CREDIT AS DOUBLE), 0) AS cost_ratio,
        NAME_CONTRACT_STATUS = 'Approved' AS approved,
        NAME_CONTRACT_STATUS = 'Refused' AS refused,
        -- 365243 days (a thousand years) stand for 'not yet' or 'never'
        CASE WHEN DAYS_LAST_DUE <> 365243 THEN DAYS_LAST_DUE END AS last_due,
        CASE WHEN DAYS_LAST_DUE_1ST_VERSION <> 365243 THEN DAYS_LAST_DUE_1ST_VERSION END AS planned_last_due,
        CASE WHEN DAYS_FIRST_DUE <> 365243 THEN DAYS_FIRST_DUE END AS first_due,
        CASE WHEN DAYS_TERMINATION <> 365243 THEN DAYS_TERMINATION END AS ended,
        RANK() OVER (PARTITION BY previous_application.SK_ID_CURR ORDER BY DAYS_DECISION DESC) AS recency
    FROM previous_application
    JOIN application ON application.SK_ID_CURR = previous_application.SK_ID_CURR
)
SELECT
    SK_ID_CURR,
    COUNT(*) AS prev_applications,  -- Earlier applications
    COUNT(*) FILTER (WHERE approved) AS prev_approved,  -- Earlier applications that were approved
    COUNT(*) FILTER (WHERE refused) AS prev_refused,  -- Earlier applications that were refused
    COUNT(*) FILTER (WHERE NAME_CONTRACT_STATUS = 'Canceled') AS prev_cancelled,  -- Earlier applications that were cancelled
    COUNT(*) FILTER (WHERE NAME_CONTRACT_STATUS = 'Unused offer') AS prev_unused,  -- Earlier offers that were not used
    CAST(COUNT(*) FILTER (WHERE approved) AS DOUBLE) / COUNT(*) AS prev_approved_share,  -- Share of the earlier applications that were approved
    CAST(COUNT(*) FILTER (WHERE refused) AS DOUBLE) / COUNT(*) AS prev_refused_share,  -- Share of the earlier applications that were refused
    CAST(COUNT(*) FILTER (WHERE refused AND recency <= 3) AS DOUBLE) / COUNT(*) FILTER (WHERE recency <= 3) AS prev_refused_share_last_3,  -- Share of the three latest earlier applications that were refused
    MAX(CASE WHEN recency = 1 AND refused THEN 1 ELSE 0 END) AS prev_last_refused,  -- 1 where the latest earlier application was refused
    COUNT(*) FILTER (WHERE NAME_CONTRACT_TYPE = 'Cash loans') AS prev_cash,  -- Earlier applications for cash loans
    COUNT(*) FILTER (WHERE NAME_CONTRACT_TYPE = 'Consumer loans') AS prev_consumer,  -- Earlier applications for consumer loans
    COUNT(*) FILTER (WHERE NAME_CONTRACT_TYPE = 'Revolving loans') AS prev_revolving,  -- Earlier applications for revolving loans
    COUNT(*) FILTER (WHERE NAME_CLIENT_TYPE = 'New') AS prev_as_new_client,  -- Earlier applications as a new client
    COUNT(*) FILTER (WHERE CODE_REJECT_REASON = 'HC') AS prev_rejected_hc,  -- Earlier applications rejected with the code HC
    COUNT(*) FILTER (WHERE CODE_REJECT_REASON = 'LIMIT') AS prev_rejected_limit,  -- Earlier applications rejected with the code LIMIT
    COUNT(*) FILTER (WHERE CODE_REJECT_REASON IN ('SCO', 'SCOFR')) AS prev_rejected_score,  -- Earlier applications rejected with the codes SCO and SCOFR
    COUNT(*) FILTER (WHERE NAME_YIELD_GROUP = 'high') AS prev_high_yield,  -- Earlier applications in the group with high interest
    COUNT(*) FILTER (WHERE NAME_YIELD_GROUP IN ('low_normal', 'low_action')) AS prev_low_yield,  -- Earlier applications in the groups with low interest
    CAST(COUNT(*) FILTER (WHERE NAME_YIELD_GROUP = 'high') AS DOUBLE) / COUNT(*) AS prev_high_yield_share,  -- Share of the earlier applications with high interest
    COUNT(*) FILTER (WHERE NAME_PRODUCT_TYPE = 'walk-in') AS prev_walk_in,  -- Earlier applications as a walk-in
    COUNT(*) FILTER (WHERE NAME_PRODUCT_TYPE = 'x-sell') AS prev_cross_sell,  -- Earlier applications after an offer to a known client
    COUNT(*) FILTER (WHERE CHANNEL_TYPE = 'Credit and cash offices') AS prev_in_office,  -- Earlier applications in a credit and cash office
    COUNT(*) FILTER (WHERE NAME_PORTFOLIO = 'Cards') AS prev_cards,  -- Earlier applications for cards
    COUNT(DISTINCT NAME_GOODS_CATEGORY) AS prev_goods_categories,  -- Kinds of goods that earlier applications were for
    COUNT(*) FILTER (WHERE NFLAG_INSURED_ON_APPROVAL = 1) AS prev_insured,  -- Earlier loans with insurance
    CAST(SUM(NFLAG_INSURED_ON_APPROVAL) AS DOUBLE) / COUNT(NFLAG_INSURED_ON_APPROVAL) AS prev_insured_share,  -- Share of the earlier loans with insurance
    MAX(DAYS_DECISION) AS prev_days_latest,  -- Days from the latest earlier decision to the application, negative
    MIN(DAYS_DECISION) AS prev_days_first,  -- Days from the first earlier decision to the application, negative
    CAST(SUM(DAYS_DECISION) AS DOUBLE) / COUNT(DAYS_DECISION) AS prev_days_mean,  -- Mean days from an earlier decision to the application, negative
    MAX(DAYS_DECISION) FILTER (WHERE refused) AS prev_days_latest_refusal,  -- Days from the latest refusal to the application, negative
    MAX(DAYS_DECISION) FILTER (WHERE approved) AS prev_days_latest_approval,  -- Days from the latest approval to the application, negative
    COUNT(*) FILTER (WHERE DAYS_DECISION >= -365) AS prev_last_year,  -- Applications in the last year
    COUNT(*) FILTER (WHERE refused AND DAYS_DECISION >= -365) AS prev_refused_last_year,  -- Refused applications in the last year
    SUM(AMT_CREDIT) FILTER (WHERE approved) AS prev_credit_sum,  -- Approved credits together
    MAX(AMT_CREDIT) FILTER (WHERE approved) AS prev_credit_max,  -- Largest approved credit
    CAST(SUM(AMT_CREDIT) FILTER (WHERE approved) AS DOUBLE) / COUNT(AMT_CREDIT) FILTER (WHERE approved) AS prev_credit_mean,  -- Mean approved credit
    CAST(SUM(AMT_APPLICATION) AS DOUBLE) / COUNT(AMT_APPLICATION) AS prev_asked_mean,  -- Mean amount asked for
    CAST(SUM(AMT_ANNUITY) FILTER (WHERE approved) AS DOUBLE) / COUNT(AMT_ANNUITY) FILTER (WHERE approved) AS prev_annuity_mean,  -- Mean annuity of approved credits
    MAX(AMT_ANNUITY) AS prev_annuity_max,  -- Largest annuity of an earlier application
    CAST(SUM(AMT_DOWN_PAYMENT) AS DOUBLE) / COUNT(AMT_DOWN_PAYMENT) AS prev_down_payment_mean,  -- Mean down payment
    MAX(RATE_DOWN_PAYMENT) AS prev_down_payment_rate_max,  -- Largest share paid down, normalised
    CAST(SUM(AMT_CREDIT) AS DOUBLE) / NULLIF(CAST(SUM(AMT_APPLICATION) AS DOUBLE), 0) AS prev_granted_to_asked,  -- Credit over amount asked for, over all earlier applications
    MIN(granted_share) AS prev_granted_to_asked_min,  -- Lowest credit over amount asked for
    MAX(granted_share) AS prev_granted_to_asked_max,  -- Highest credit over amount asked for
    MAX(cost_ratio) FILTER (WHERE approved) AS prev_cost_max,  -- Highest sum of the instalments over an approved credit: how dear it was
    MIN(cost_ratio) FILTER (WHERE approved) AS prev_cost_min,  -- Lowest sum of the instalments over an approved credit
    MAX(CASE WHEN recency = 1 THEN cost_ratio END) AS prev_cost_last,  -- Sum of the instalments over the credit of the latest application
    CAST(SUM(CNT_PAYMENT) FILTER (WHERE approved) AS DOUBLE) / COUNT(CNT_PAYMENT) FILTER (WHERE approved) AS prev_term_mean,  -- Mean term of approved credits, in months
    MAX(CASE WHEN recency = 1 THEN CNT_PAYMENT END) AS prev_term_last,  -- Term of the latest application, in months
    SUM(CNT_PAYMENT) FILTER (WHERE approved AND ended IS NULL) AS prev_running_terms,  -- Terms of approved credits without an end yet, together
    MAX(last_due) AS prev_last_due_max,  -- Days from the last due day of an earlier credit to the application, negative
    MAX(first_due) AS prev_first_due_max,  -- Days from the newest first due day to the application
    CAST(SUM(planned_last_due - last_due) AS DOUBLE) / COUNT(planned_last_due - last_due) AS prev_ended_early_mean,  -- Mean days by which earlier credits ended before the first plan
    COUNT(*) FILTER (WHERE planned_last_due > last_due) AS prev_ended_early,  -- Earlier credits that ended before the first plan
    COUNT(*) FILTER (WHERE approved AND ended IS NULL) AS prev_running,  -- Approved credits without an end yet
    CAST(MAX(new_credit) AS DOUBLE) / NULLIF(CAST(MAX(AMT_CREDIT) FILTER (WHERE approved) AS DOUBLE), 0) AS prev_new_credit_to_max,  -- The loan applied for over the largest approved before
    CAST(MAX(new_annuity) AS DOUBLE) / NULLIF(CAST(MAX(AMT_ANNUITY) FILTER (WHERE approved) AS DOUBLE), 0) AS prev_new_annuity_to_max  -- The annuity applied for over the largest approved before
FROM earlier
GROUP BY SK_ID_CURR
