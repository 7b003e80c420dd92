-- What a new ledger starts with: four tiers and a rate to USD for every currency that it keeps. The program reads these
-- tables once, when the log has no tier or no rates yet, and puts them there as events; from then on only the log
-- counts, and an administrator changes tiers and rates by commands. Without these rows no merchant could be
-- onboarded in a fresh database, because no tier would mean anything. Amounts are minor units of USD; rates are USD for
-- one major unit, good enough to count limits by until the first real table is published.
CREATE TABLE tier_seeds (
    tier                 text    NOT NULL PRIMARY KEY,
    payment_limit        bigint  NOT NULL,
    daily_limit          bigint  NOT NULL,
    monthly_limit        bigint  NOT NULL,
    markup_rate          numeric NOT NULL,
    settlement_cycle     text    NOT NULL,
    several_currencies   boolean NOT NULL,
    pre_auth             boolean NOT NULL,
    api_calls_per_minute integer NOT NULL
);

INSERT INTO tier_seeds VALUES
    ('starter',      1000000,   10000000,   30000000, 0.008,  'T+1', false, false,   100),
    ('business',     5000000,   50000000,  150000000, 0.006,  'T+1', true,  false,   500),
    ('enterprise',  20000000,  200000000,  600000000, 0.0045, 'T+0', true,  true,   2000),
    ('premium',    100000000, 1000000000, 3000000000, 0.003,  'D+0', true,  true,  10000);

CREATE TABLE rate_seeds (
    currency  text    NOT NULL PRIMARY KEY,
    rate_date date    NOT NULL,
    usd       numeric NOT NULL CHECK (usd > 0)
);

INSERT INTO rate_seeds (currency, rate_date, usd)
SELECT seed.currency, DATE '2026-01-01', seed.usd FROM (VALUES
    ('AED', 0.2723), ('AFN', 0.0143), ('ALL', 0.0117), ('AMD', 0.0026), ('AOA', 0.0011),
    ('ARS', 0.0007), ('AUD', 0.65), ('AWG', 0.5587), ('AZN', 0.5882), ('BAM', 0.59),
    ('BBD', 0.5), ('BDT', 0.0082), ('BGN', 0.59), ('BHD', 2.6525), ('BIF', 0.00034),
    ('BMD', 1), ('BND', 0.77), ('BOB', 0.1447), ('BOV', 0.1447), ('BRL', 0.18),
    ('BSD', 1), ('BTC', 95000), ('BTN', 0.0113), ('BWP', 0.075), ('BYN', 0.31),
    ('BZD', 0.4975), ('CAD', 0.72), ('CDF', 0.00045), ('CHE', 1.25), ('CHF', 1.25),
    ('CHW', 1.25), ('CLF', 42), ('CLP', 0.00106), ('CNY', 0.14), ('COP', 0.00026),
    ('COU', 0.1), ('CRC', 0.002), ('CUC', 1), ('CUP', 0.0417), ('CVE', 0.0105),
    ('CZK', 0.0475), ('DJF', 0.0056), ('DKK', 0.155), ('DOP', 0.0157), ('DZD', 0.0077),
    ('EGP', 0.021), ('ERN', 0.0667), ('ETB', 0.0066), ('ETH', 3200), ('EUR', 1.16),
    ('FJD', 0.44), ('FKP', 1.32), ('GBP', 1.32), ('GEL', 0.37), ('GHS', 0.09),
    ('GIP', 1.32), ('GMD', 0.0138), ('GNF', 0.000115), ('GTQ', 0.13), ('GYD', 0.0048),
    ('HKD', 0.1286), ('HNL', 0.038), ('HRK', 0.154), ('HTG', 0.0076), ('HUF', 0.003),
    ('IDR', 0.00006), ('ILS', 0.3), ('INR', 0.0113), ('IQD', 0.00076), ('IRR', 0.000024),
    ('ISK', 0.0079), ('JMD', 0.0062), ('JOD', 1.4104), ('JPY', 0.0065), ('KES', 0.0077),
    ('KGS', 0.01144), ('KHR', 0.00025), ('KMF', 0.00236), ('KPW', 0.0011), ('KRW', 0.00068),
    ('KWD', 3.26), ('KYD', 1.2), ('KZT', 0.0019), ('LAK', 0.000046), ('LBP', 0.0000112),
    ('LKR', 0.0033), ('LRD', 0.0055), ('LSL', 0.058), ('LYD', 0.183), ('MAD', 0.108),
    ('MDL', 0.059), ('MGA', 0.00022), ('MKD', 0.0188), ('MMK', 0.000476), ('MNT', 0.00028),
    ('MOP', 0.1248), ('MRU', 0.025), ('MUR', 0.0217), ('MVR', 0.0649), ('MWK', 0.000577),
    ('MXN', 0.054), ('MXV', 0.46), ('MYR', 0.24), ('MZN', 0.0156), ('NAD', 0.058),
    ('NGN', 0.00069), ('NIO', 0.0272), ('NOK', 0.099), ('NPR', 0.00706), ('NZD', 0.57),
    ('OMR', 2.6008), ('PAB', 1), ('PEN', 0.295), ('PGK', 0.236), ('PHP', 0.017),
    ('PKR', 0.00355), ('PLN', 0.273), ('PYG', 0.000141), ('QAR', 0.2747), ('RON', 0.228),
    ('RSD', 0.0099), ('RUB', 0.0125), ('RWF', 0.00069), ('SAR', 0.2667), ('SBD', 0.121),
    ('SCR', 0.07), ('SDG', 0.00166), ('SEK', 0.105), ('SGD', 0.77), ('SHP', 1.32),
    ('SLE', 0.043), ('SLL', 0.000043), ('SOS', 0.00175), ('SRD', 0.026), ('SSP', 0.00022),
    ('STN', 0.0473), ('SVC', 0.1143), ('SYP', 0.00009), ('SZL', 0.058), ('THB', 0.0308),
    ('TJS', 0.108), ('TMT', 0.2857), ('TND', 0.339), ('TOP', 0.42), ('TRY', 0.0236),
    ('TTD', 0.1475), ('TWD', 0.032), ('TZS', 0.00041), ('UAH', 0.0237), ('UGX', 0.00028),
    ('USDC', 1), ('USDT', 1), ('USN', 1), ('UYI', 0.16), ('UYU', 0.0252),
    ('UYW', 0.16), ('UZS', 0.000083), ('VED', 0.0042), ('VES', 0.0042), ('VND', 0.000038),
    ('VUV', 0.0082), ('WST', 0.358), ('XAD', 0.2723), ('XAF', 0.00177), ('XCD', 0.37),
    ('XCG', 0.5587), ('XOF', 0.00177), ('XPF', 0.00972), ('YER', 0.0042), ('ZAR', 0.058),
    ('ZMW', 0.044), ('ZWG', 0.0377), ('ZWL', 0.0031)
) AS seed (currency, usd);
