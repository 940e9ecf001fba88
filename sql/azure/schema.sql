-- ReactionWatch: tables and views for Azure SQL and SQL Server, as `reactionwatch db ddl` prints them.
-- For an empty database; `reactionwatch db upgrade` does the same, and upgrades one that is older.
-- Run it so that the first error ends it: sqlcmd -b -i schema.sql
SET XACT_ABORT ON
GO

BEGIN TRANSACTION;

DROP VIEW IF EXISTS ReactionSpike;

GO

DROP VIEW IF EXISTS FlaggedEvent;

GO

DROP VIEW IF EXISTS OverdoseTrend;

GO

DROP VIEW IF EXISTS AgeGroupByReaction;

GO

DROP VIEW IF EXISTS CommonReactionByDrug;

GO

DROP VIEW IF EXISTS PatientAdverseEventReport;

GO

DROP VIEW IF EXISTS LatestReport;

GO

DROP VIEW IF EXISTS FoldedReport;

GO

CREATE TABLE reactionwatch_version (
    version_num VARCHAR(32) NOT NULL
);

GO

-- Running upgrade  -> 0002

CREATE TABLE hub_position (
    hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    partition_id NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL,
    next_sequence BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    enqueued_ms BIGINT NULL,
    event_ms BIGINT NULL,
    CONSTRAINT pk_hub_position PRIMARY KEY (hub, generation, partition_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'How far each hub partition has been stored: the checkpoint.', 'schema', dbo, 'table', hub_position;

GO

execute sp_addextendedproperty 'MS_Description', N'namespace host/hub, or file:digest for a backfill', 'schema', dbo, 'table', hub_position, 'column', hub;

GO

execute sp_addextendedproperty 'MS_Description', N'created-at of the hub (UTC ms): tells a recreated one', 'schema', dbo, 'table', hub_position, 'column', generation;

GO

execute sp_addextendedproperty 'MS_Description', N'partition of the hub, from 0', 'schema', dbo, 'table', hub_position, 'column', partition_id;

GO

execute sp_addextendedproperty 'MS_Description', N'first sequence number not stored yet', 'schema', dbo, 'table', hub_position, 'column', next_sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'the run that may move this position', 'schema', dbo, 'table', hub_position, 'column', epoch;

GO

execute sp_addextendedproperty 'MS_Description', N'enqueued time of the last stored event (UTC ms)', 'schema', dbo, 'table', hub_position, 'column', enqueued_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'largest event time stored (UTC ms)', 'schema', dbo, 'table', hub_position, 'column', event_ms;

GO

CREATE TABLE stream_lease (
    hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    epoch BIGINT NOT NULL,
    holder NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    beat_ms BIGINT NOT NULL,
    CONSTRAINT pk_stream_lease PRIMARY KEY (hub)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Who may write: one stream per hub.', 'schema', dbo, 'table', stream_lease;

GO

execute sp_addextendedproperty 'MS_Description', N'namespace host/hub, or file:digest for a backfill', 'schema', dbo, 'table', stream_lease, 'column', hub;

GO

execute sp_addextendedproperty 'MS_Description', N'number of the run that holds it; every takeover raises it', 'schema', dbo, 'table', stream_lease, 'column', epoch;

GO

execute sp_addextendedproperty 'MS_Description', N'host:pid:start of the process that holds it', 'schema', dbo, 'table', stream_lease, 'column', holder;

GO

execute sp_addextendedproperty 'MS_Description', N'last sign of life (UTC ms); 0 when released', 'schema', dbo, 'table', stream_lease, 'column', beat_ms;

GO

CREATE TABLE ingest_task (
    receipt_id BIGINT NOT NULL,
    hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    partition_id NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL,
    first_sequence BIGINT NOT NULL,
    last_sequence BIGINT NOT NULL,
    stored INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    epoch BIGINT NOT NULL,
    model_version NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NULL,
    suite_version NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    written_at DATETIME2 NOT NULL,
    folded_at DATETIME2 NULL,
    CONSTRAINT pk_ingest_task PRIMARY KEY (receipt_id),
    CONSTRAINT ck_ingest_task_adds_up CHECK (last_sequence - first_sequence + 1 = stored + quarantined + duplicates)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Receipts: one row per stored range of one partition.', 'schema', dbo, 'table', ingest_task;

GO

execute sp_addextendedproperty 'MS_Description', N'id of the attempt that stored the range, rising with time', 'schema', dbo, 'table', ingest_task, 'column', receipt_id;

GO

execute sp_addextendedproperty 'MS_Description', N'namespace host/hub, or file:digest for a backfill', 'schema', dbo, 'table', ingest_task, 'column', hub;

GO

execute sp_addextendedproperty 'MS_Description', N'created-at of the hub (UTC ms): tells a recreated one', 'schema', dbo, 'table', ingest_task, 'column', generation;

GO

execute sp_addextendedproperty 'MS_Description', N'partition of the hub, from 0', 'schema', dbo, 'table', ingest_task, 'column', partition_id;

GO

execute sp_addextendedproperty 'MS_Description', N'first sequence number of the range', 'schema', dbo, 'table', ingest_task, 'column', first_sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'last sequence number of the range', 'schema', dbo, 'table', ingest_task, 'column', last_sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'reports that became rows of safety_report', 'schema', dbo, 'table', ingest_task, 'column', stored;

GO

execute sp_addextendedproperty 'MS_Description', N'reports that became rows of quarantined_report', 'schema', dbo, 'table', ingest_task, 'column', quarantined;

GO

execute sp_addextendedproperty 'MS_Description', N'reports that were stored before, identical', 'schema', dbo, 'table', ingest_task, 'column', duplicates;

GO

execute sp_addextendedproperty 'MS_Description', N'the run that stored the range', 'schema', dbo, 'table', ingest_task, 'column', epoch;

GO

execute sp_addextendedproperty 'MS_Description', N'model that scored it; NULL: no champion model was there', 'schema', dbo, 'table', ingest_task, 'column', model_version;

GO

execute sp_addextendedproperty 'MS_Description', N'expectation suite that judged it', 'schema', dbo, 'table', ingest_task, 'column', suite_version;

GO

execute sp_addextendedproperty 'MS_Description', N'when the range was stored (UTC)', 'schema', dbo, 'table', ingest_task, 'column', written_at;

GO

execute sp_addextendedproperty 'MS_Description', N'when its window counts were committed (UTC); NULL: not yet', 'schema', dbo, 'table', ingest_task, 'column', folded_at;

GO

CREATE INDEX ix_ingest_task_hub_folded_at ON ingest_task (hub, folded_at);

GO

CREATE TABLE drug (
    drug_id BIGINT NOT NULL,
    name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_drug PRIMARY KEY (drug_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Drugs by normalised name (active substance where the report gives one).', 'schema', dbo, 'table', drug;

GO

execute sp_addextendedproperty 'MS_Description', N'64-bit hash of the name', 'schema', dbo, 'table', drug, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'normalised: upper case, single spaces', 'schema', dbo, 'table', drug, 'column', name;

GO

CREATE TABLE reaction (
    reaction_id BIGINT NOT NULL,
    name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NOT NULL,
    is_overdose SMALLINT NOT NULL,
    CONSTRAINT pk_reaction PRIMARY KEY (reaction_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Reactions by normalised MedDRA preferred term.', 'schema', dbo, 'table', reaction;

GO

execute sp_addextendedproperty 'MS_Description', N'64-bit hash of the name', 'schema', dbo, 'table', reaction, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'MedDRA preferred term, upper case', 'schema', dbo, 'table', reaction, 'column', name;

GO

execute sp_addextendedproperty 'MS_Description', N'1: the term ends in OVERDOSE', 'schema', dbo, 'table', reaction, 'column', is_overdose;

GO

CREATE TABLE safety_report (
    case_key BIGINT NOT NULL,
    version BIGINT NOT NULL,
    safetyreportid NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    digest VARBINARY(32) NOT NULL,
    receipt_id BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    enqueued_ms BIGINT NOT NULL,
    event_ms BIGINT NOT NULL,
    receivedate DATE NULL,
    receiptdate DATE NULL,
    transmissiondate DATE NULL,
    serious BIT NULL,
    seriousness NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL,
    age_years FLOAT NULL,
    age_whole_years SMALLINT NULL,
    sex SMALLINT NULL,
    weight_kg FLOAT NULL,
    qualification SMALLINT NULL,
    country NVARCHAR(100) COLLATE Latin1_General_100_BIN2 NULL,
    sender NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL,
    company_number NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL,
    drug_count INTEGER NOT NULL,
    reaction_count INTEGER NOT NULL,
    anomaly_score FLOAT NULL,
    anomaly_level SMALLINT NULL,
    anomaly_reasons NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL,
    warnings NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL,
    model_version NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NULL,
    suite_version NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    stored_at DATETIME2 NOT NULL,
    pruned_at DATETIME2 NULL,
    CONSTRAINT pk_safety_report PRIMARY KEY (case_key, version)
);

GO

execute sp_addextendedproperty 'MS_Description', N'One row per version of a case.', 'schema', dbo, 'table', safety_report;

GO

execute sp_addextendedproperty 'MS_Description', N'64-bit hash of safetyreportid', 'schema', dbo, 'table', safety_report, 'column', case_key;

GO

execute sp_addextendedproperty 'MS_Description', N'version of the case: safetyreportversion, else receipt date as yyyymmdd, else 0', 'schema', dbo, 'table', safety_report, 'column', version;

GO

execute sp_addextendedproperty 'MS_Description', N'the case, as the sender names it', 'schema', dbo, 'table', safety_report, 'column', safetyreportid;

GO

execute sp_addextendedproperty 'MS_Description', N'SHA-256 over the canonical JSON of the body', 'schema', dbo, 'table', safety_report, 'column', digest;

GO

execute sp_addextendedproperty 'MS_Description', N'receipt of the range that stored it', 'schema', dbo, 'table', safety_report, 'column', receipt_id;

GO

execute sp_addextendedproperty 'MS_Description', N'hub sequence number within its receipt''s partition', 'schema', dbo, 'table', safety_report, 'column', sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'when the hub took it in (UTC ms)', 'schema', dbo, 'table', safety_report, 'column', enqueued_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'event time the windows count it by (UTC ms)', 'schema', dbo, 'table', safety_report, 'column', event_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'first received by the sender', 'schema', dbo, 'table', safety_report, 'column', receivedate;

GO

execute sp_addextendedproperty 'MS_Description', N'most recent information received by the sender', 'schema', dbo, 'table', safety_report, 'column', receiptdate;

GO

execute sp_addextendedproperty 'MS_Description', N'transmitted by the sender', 'schema', dbo, 'table', safety_report, 'column', transmissiondate;

GO

execute sp_addextendedproperty 'MS_Description', N'whether the sender calls it serious; NULL: not said', 'schema', dbo, 'table', safety_report, 'column', serious;

GO

execute sp_addextendedproperty 'MS_Description', N'criteria met, comma separated', 'schema', dbo, 'table', safety_report, 'column', seriousness;

GO

execute sp_addextendedproperty 'MS_Description', N'age at onset as reported, in years', 'schema', dbo, 'table', safety_report, 'column', age_years;

GO

execute sp_addextendedproperty 'MS_Description', N'age at onset in completed years', 'schema', dbo, 'table', safety_report, 'column', age_whole_years;

GO

execute sp_addextendedproperty 'MS_Description', N'0 unknown, 1 male, 2 female', 'schema', dbo, 'table', safety_report, 'column', sex;

GO

execute sp_addextendedproperty 'MS_Description', N'weight in kg', 'schema', dbo, 'table', safety_report, 'column', weight_kg;

GO

execute sp_addextendedproperty 'MS_Description', N'who reported: 1 physician to 5 consumer, as openFDA codes it', 'schema', dbo, 'table', safety_report, 'column', qualification;

GO

execute sp_addextendedproperty 'MS_Description', N'where the reaction occurred', 'schema', dbo, 'table', safety_report, 'column', country;

GO

execute sp_addextendedproperty 'MS_Description', N'organisation that sent it', 'schema', dbo, 'table', safety_report, 'column', sender;

GO

execute sp_addextendedproperty 'MS_Description', N'the sender''s own number of the case', 'schema', dbo, 'table', safety_report, 'column', company_number;

GO

execute sp_addextendedproperty 'MS_Description', N'drug entries of the report', 'schema', dbo, 'table', safety_report, 'column', drug_count;

GO

execute sp_addextendedproperty 'MS_Description', N'reaction entries of the report', 'schema', dbo, 'table', safety_report, 'column', reaction_count;

GO

execute sp_addextendedproperty 'MS_Description', N'isolation forest, 0 to 1, higher is stranger; NULL: unscored', 'schema', dbo, 'table', safety_report, 'column', anomaly_score;

GO

execute sp_addextendedproperty 'MS_Description', N'0 usual, 1 unusual, 2 extreme; NULL: unscored', 'schema', dbo, 'table', safety_report, 'column', anomaly_level;

GO

execute sp_addextendedproperty 'MS_Description', N'features that made it strange, comma separated', 'schema', dbo, 'table', safety_report, 'column', anomaly_reasons;

GO

execute sp_addextendedproperty 'MS_Description', N'codes of failed warning expectations, comma separated', 'schema', dbo, 'table', safety_report, 'column', warnings;

GO

execute sp_addextendedproperty 'MS_Description', N'model that scored it; NULL: unscored', 'schema', dbo, 'table', safety_report, 'column', model_version;

GO

execute sp_addextendedproperty 'MS_Description', N'expectation suite that judged it', 'schema', dbo, 'table', safety_report, 'column', suite_version;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was stored (UTC)', 'schema', dbo, 'table', safety_report, 'column', stored_at;

GO

execute sp_addextendedproperty 'MS_Description', N'when what it says was forgotten (UTC); NULL: it is all here', 'schema', dbo, 'table', safety_report, 'column', pruned_at;

GO

CREATE INDEX ix_safety_report_receipt_id_sequence ON safety_report (receipt_id, sequence);

GO

CREATE INDEX ix_safety_report_stored_at ON safety_report (stored_at);

GO

CREATE TABLE report_drug (
    receipt_id BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    ordinal INTEGER NOT NULL,
    drug_id BIGINT NULL,
    product NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL,
    characterization SMALLINT NULL,
    indication NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL,
    CONSTRAINT pk_report_drug PRIMARY KEY (receipt_id, sequence, ordinal)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Drug entries of a stored report.', 'schema', dbo, 'table', report_drug;

GO

execute sp_addextendedproperty 'MS_Description', N'receipt of the report, as in safety_report', 'schema', dbo, 'table', report_drug, 'column', receipt_id;

GO

execute sp_addextendedproperty 'MS_Description', N'hub sequence number of the report, as in safety_report', 'schema', dbo, 'table', report_drug, 'column', sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'place in patient.drug, from 0', 'schema', dbo, 'table', report_drug, 'column', ordinal;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug; NULL: the entry names none', 'schema', dbo, 'table', report_drug, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'medicinalproduct as reported', 'schema', dbo, 'table', report_drug, 'column', product;

GO

execute sp_addextendedproperty 'MS_Description', N'1 suspect, 2 concomitant, 3 interacting', 'schema', dbo, 'table', report_drug, 'column', characterization;

GO

execute sp_addextendedproperty 'MS_Description', N'what it was given for, upper case', 'schema', dbo, 'table', report_drug, 'column', indication;

GO

CREATE TABLE report_reaction (
    receipt_id BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    ordinal INTEGER NOT NULL,
    reaction_id BIGINT NULL,
    outcome SMALLINT NULL,
    CONSTRAINT pk_report_reaction PRIMARY KEY (receipt_id, sequence, ordinal)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Reactions of a stored report.', 'schema', dbo, 'table', report_reaction;

GO

execute sp_addextendedproperty 'MS_Description', N'receipt of the report, as in safety_report', 'schema', dbo, 'table', report_reaction, 'column', receipt_id;

GO

execute sp_addextendedproperty 'MS_Description', N'hub sequence number of the report, as in safety_report', 'schema', dbo, 'table', report_reaction, 'column', sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'place in patient.reaction, from 0', 'schema', dbo, 'table', report_reaction, 'column', ordinal;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction; NULL: the entry names no term', 'schema', dbo, 'table', report_reaction, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'1 recovered to 5 fatal, 6 unknown, as openFDA codes it', 'schema', dbo, 'table', report_reaction, 'column', outcome;

GO

CREATE TABLE case_pair (
    case_key BIGINT NOT NULL,
    drug_id BIGINT NOT NULL,
    reaction_id BIGINT NOT NULL,
    event_ms BIGINT NOT NULL,
    prev_ms BIGINT NULL,
    moved_by BIGINT NOT NULL,
    CONSTRAINT pk_case_pair PRIMARY KEY (case_key, drug_id, reaction_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'A case counts once per (suspect drug, reaction), in the window of its smallest event time.', 'schema', dbo, 'table', case_pair;

GO

execute sp_addextendedproperty 'MS_Description', N'64-bit hash of safetyreportid', 'schema', dbo, 'table', case_pair, 'column', case_key;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug', 'schema', dbo, 'table', case_pair, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction', 'schema', dbo, 'table', case_pair, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'smallest event time of the pair (UTC ms): where the case counts', 'schema', dbo, 'table', case_pair, 'column', event_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'event time before the last move (UTC ms)', 'schema', dbo, 'table', case_pair, 'column', prev_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'receipt that inserted or last moved it', 'schema', dbo, 'table', case_pair, 'column', moved_by;

GO

CREATE INDEX ix_case_pair_drug_id_event_ms_reaction_id ON case_pair (drug_id, event_ms, reaction_id);

GO

CREATE TABLE window_delta (
    receipt_id BIGINT NOT NULL,
    drug_id BIGINT NOT NULL,
    reaction_id BIGINT NOT NULL,
    event_ms BIGINT NOT NULL,
    delta INTEGER NOT NULL,
    CONSTRAINT pk_window_delta PRIMARY KEY (receipt_id, drug_id, reaction_id, event_ms)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Changes of counts a task caused; gone once its receipt is folded.', 'schema', dbo, 'table', window_delta;

GO

execute sp_addextendedproperty 'MS_Description', N'receipt of the task that caused the change', 'schema', dbo, 'table', window_delta, 'column', receipt_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug', 'schema', dbo, 'table', window_delta, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction', 'schema', dbo, 'table', window_delta, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'event time whose windows change (UTC ms)', 'schema', dbo, 'table', window_delta, 'column', event_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'cases more (or, below 0, fewer)', 'schema', dbo, 'table', window_delta, 'column', delta;

GO

CREATE TABLE reaction_window (
    width_ms BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    drug_id BIGINT NOT NULL,
    reaction_id BIGINT NOT NULL,
    cases INTEGER NOT NULL,
    CONSTRAINT pk_reaction_window PRIMARY KEY (width_ms, window_start_ms, drug_id, reaction_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Distinct cases per (drug, reaction) and window. A window without a row counts zero.', 'schema', dbo, 'table', reaction_window;

GO

execute sp_addextendedproperty 'MS_Description', N'width of the window (ms)', 'schema', dbo, 'table', reaction_window, 'column', width_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'start of the window (UTC ms)', 'schema', dbo, 'table', reaction_window, 'column', window_start_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug', 'schema', dbo, 'table', reaction_window, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction', 'schema', dbo, 'table', reaction_window, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'distinct cases of the pair', 'schema', dbo, 'table', reaction_window, 'column', cases;

GO

CREATE TABLE window_total (
    width_ms BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    drug_id BIGINT NOT NULL,
    reaction_id BIGINT NOT NULL,
    cases INTEGER NOT NULL,
    CONSTRAINT pk_window_total PRIMARY KEY (width_ms, window_start_ms, drug_id, reaction_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Sums of reaction_window: per drug (reaction_id 0), per reaction (drug_id 0) and over all (both 0).', 'schema', dbo, 'table', window_total;

GO

execute sp_addextendedproperty 'MS_Description', N'width of the window (ms)', 'schema', dbo, 'table', window_total, 'column', width_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'start of the window (UTC ms)', 'schema', dbo, 'table', window_total, 'column', window_start_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug; 0: all', 'schema', dbo, 'table', window_total, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction; 0: all', 'schema', dbo, 'table', window_total, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'sum of cases over the pairs meant', 'schema', dbo, 'table', window_total, 'column', cases;

GO

CREATE TABLE window_clock (
    width_ms BIGINT NOT NULL,
    closed_until_ms BIGINT NOT NULL,
    CONSTRAINT pk_window_clock PRIMARY KEY (width_ms)
);

GO

execute sp_addextendedproperty 'MS_Description', N'How far the windows of each width have been closed and judged.', 'schema', dbo, 'table', window_clock;

GO

execute sp_addextendedproperty 'MS_Description', N'width of the windows (ms)', 'schema', dbo, 'table', window_clock, 'column', width_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'every window ending at or before this (UTC ms) is closed', 'schema', dbo, 'table', window_clock, 'column', closed_until_ms;

GO

CREATE TABLE spike (
    width_ms BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    drug_id BIGINT NOT NULL,
    reaction_id BIGINT NOT NULL,
    cases INTEGER NOT NULL,
    expected FLOAT NOT NULL,
    spread FLOAT NOT NULL,
    z FLOAT NOT NULL,
    p FLOAT NOT NULL,
    stage NVARCHAR(10) COLLATE Latin1_General_100_BIN2 NOT NULL,
    rules NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NOT NULL,
    rules_version NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    found_at DATETIME2 NOT NULL,
    CONSTRAINT pk_spike PRIMARY KEY (width_ms, window_start_ms, drug_id, reaction_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Findings: windows in which a pair was reported unusually often. A finding is never withdrawn.', 'schema', dbo, 'table', spike;

GO

execute sp_addextendedproperty 'MS_Description', N'width of the window (ms)', 'schema', dbo, 'table', spike, 'column', width_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'start of the window (UTC ms)', 'schema', dbo, 'table', spike, 'column', window_start_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug', 'schema', dbo, 'table', spike, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction', 'schema', dbo, 'table', spike, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'distinct cases when last judged', 'schema', dbo, 'table', spike, 'column', cases;

GO

execute sp_addextendedproperty 'MS_Description', N'cases expected in the whole window', 'schema', dbo, 'table', spike, 'column', expected;

GO

execute sp_addextendedproperty 'MS_Description', N'standard deviation of a quiet window''s count', 'schema', dbo, 'table', spike, 'column', spread;

GO

execute sp_addextendedproperty 'MS_Description', N'(cases - expected) / spread', 'schema', dbo, 'table', spike, 'column', z;

GO

execute sp_addextendedproperty 'MS_Description', N'probability of so many cases or more by chance', 'schema', dbo, 'table', spike, 'column', p;

GO

execute sp_addextendedproperty 'MS_Description', N'open, closed or late: when it was found', 'schema', dbo, 'table', spike, 'column', stage;

GO

execute sp_addextendedproperty 'MS_Description', N'rules that found it, comma separated', 'schema', dbo, 'table', spike, 'column', rules;

GO

execute sp_addextendedproperty 'MS_Description', N'settings of the rules', 'schema', dbo, 'table', spike, 'column', rules_version;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was found (UTC)', 'schema', dbo, 'table', spike, 'column', found_at;

GO

CREATE TABLE alert (
    alert_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    kind NVARCHAR(30) COLLATE Latin1_General_100_BIN2 NOT NULL,
    status NVARCHAR(10) COLLATE Latin1_General_100_BIN2 NOT NULL,
    drug_id BIGINT NULL,
    reaction_id BIGINT NULL,
    case_key BIGINT NULL,
    version BIGINT NULL,
    score FLOAT NULL,
    reasons NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL,
    opened_at_ms BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    last_alarm_end_ms BIGINT NOT NULL,
    width_ms BIGINT NOT NULL,
    window_start_ms BIGINT NOT NULL,
    cases INTEGER NOT NULL,
    expected FLOAT NOT NULL,
    spread FLOAT NOT NULL,
    z FLOAT NOT NULL,
    p FLOAT NOT NULL,
    widths NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL,
    published_cases INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    closed_at_ms BIGINT NULL,
    CONSTRAINT pk_alert PRIMARY KEY (alert_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'One row per episode: one (drug, reaction) from its first alarmed window to quiet, or one report.', 'schema', dbo, 'table', alert;

GO

execute sp_addextendedproperty 'MS_Description', N'random UUID', 'schema', dbo, 'table', alert, 'column', alert_id;

GO

execute sp_addextendedproperty 'MS_Description', N'what it is about: a spike of a pair or one unusual report', 'schema', dbo, 'table', alert, 'column', kind;

GO

execute sp_addextendedproperty 'MS_Description', N'open or closed', 'schema', dbo, 'table', alert, 'column', status;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug; NULL: it is about one report', 'schema', dbo, 'table', alert, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction; NULL: it is about one report', 'schema', dbo, 'table', alert, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the case, where it is about one report', 'schema', dbo, 'table', alert, 'column', case_key;

GO

execute sp_addextendedproperty 'MS_Description', N'version of the case, where it is about one report', 'schema', dbo, 'table', alert, 'column', version;

GO

execute sp_addextendedproperty 'MS_Description', N'anomaly score, where it is about one report', 'schema', dbo, 'table', alert, 'column', score;

GO

execute sp_addextendedproperty 'MS_Description', N'features that made the report strange, comma separated', 'schema', dbo, 'table', alert, 'column', reasons;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was opened (UTC ms)', 'schema', dbo, 'table', alert, 'column', opened_at_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'start of the first alarmed window (UTC ms)', 'schema', dbo, 'table', alert, 'column', since_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'end of the last alarmed window (UTC ms)', 'schema', dbo, 'table', alert, 'column', last_alarm_end_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'width of the window of the strongest evidence (ms)', 'schema', dbo, 'table', alert, 'column', width_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'start of that window (UTC ms)', 'schema', dbo, 'table', alert, 'column', window_start_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'distinct cases in that window', 'schema', dbo, 'table', alert, 'column', cases;

GO

execute sp_addextendedproperty 'MS_Description', N'cases expected in that window', 'schema', dbo, 'table', alert, 'column', expected;

GO

execute sp_addextendedproperty 'MS_Description', N'standard deviation of a quiet window''s count', 'schema', dbo, 'table', alert, 'column', spread;

GO

execute sp_addextendedproperty 'MS_Description', N'(cases - expected) / spread', 'schema', dbo, 'table', alert, 'column', z;

GO

execute sp_addextendedproperty 'MS_Description', N'probability of so many cases or more by chance', 'schema', dbo, 'table', alert, 'column', p;

GO

execute sp_addextendedproperty 'MS_Description', N'all alarmed widths (ms), comma separated', 'schema', dbo, 'table', alert, 'column', widths;

GO

execute sp_addextendedproperty 'MS_Description', N'cases told in the last message', 'schema', dbo, 'table', alert, 'column', published_cases;

GO

execute sp_addextendedproperty 'MS_Description', N'number of the last message, from 1', 'schema', dbo, 'table', alert, 'column', revision;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was closed (UTC ms); NULL: still open', 'schema', dbo, 'table', alert, 'column', closed_at_ms;

GO

CREATE INDEX ix_alert_case_key ON alert (case_key);

GO

CREATE INDEX ix_alert_status_kind ON alert (status, kind);

GO

CREATE TABLE alert_case (
    alert_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    case_key BIGINT NOT NULL,
    CONSTRAINT pk_alert_case PRIMARY KEY (alert_id, case_key)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Evidence: the cases an alert speaks of.', 'schema', dbo, 'table', alert_case;

GO

execute sp_addextendedproperty 'MS_Description', N'the alert, as in table alert', 'schema', dbo, 'table', alert_case, 'column', alert_id;

GO

execute sp_addextendedproperty 'MS_Description', N'64-bit hash of safetyreportid', 'schema', dbo, 'table', alert_case, 'column', case_key;

GO

CREATE TABLE alert_history (
    alert_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    entry INTEGER NOT NULL,
    at DATETIME2 NOT NULL,
    who NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL,
    change NVARCHAR(30) COLLATE Latin1_General_100_BIN2 NOT NULL,
    old NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NULL,
    new NVARCHAR(max) COLLATE Latin1_General_100_BIN2 NOT NULL,
    CONSTRAINT pk_alert_history PRIMARY KEY (alert_id, entry)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Append-only: what became of an alert, when and by whom.', 'schema', dbo, 'table', alert_history;

GO

execute sp_addextendedproperty 'MS_Description', N'the alert, as in table alert', 'schema', dbo, 'table', alert_history, 'column', alert_id;

GO

execute sp_addextendedproperty 'MS_Description', N'its number within the alert, from 1', 'schema', dbo, 'table', alert_history, 'column', entry;

GO

execute sp_addextendedproperty 'MS_Description', N'when (UTC)', 'schema', dbo, 'table', alert_history, 'column', at;

GO

execute sp_addextendedproperty 'MS_Description', N'by whom', 'schema', dbo, 'table', alert_history, 'column', who;

GO

execute sp_addextendedproperty 'MS_Description', N'what happened to it', 'schema', dbo, 'table', alert_history, 'column', change;

GO

execute sp_addextendedproperty 'MS_Description', N'state before; NULL: there was none', 'schema', dbo, 'table', alert_history, 'column', old;

GO

execute sp_addextendedproperty 'MS_Description', N'state after', 'schema', dbo, 'table', alert_history, 'column', new;

GO

CREATE TABLE alert_outbox (
    outbox_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    alert_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    revision INTEGER NOT NULL,
    body VARBINARY(max) NOT NULL,
    created_ms BIGINT NOT NULL,
    sent_at DATETIME2 NULL,
    CONSTRAINT pk_alert_outbox PRIMARY KEY (outbox_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Messages for the alerts hub, written with what they tell of; sent at least once.', 'schema', dbo, 'table', alert_outbox;

GO

execute sp_addextendedproperty 'MS_Description', N'random UUID', 'schema', dbo, 'table', alert_outbox, 'column', outbox_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the alert, as in table alert', 'schema', dbo, 'table', alert_outbox, 'column', alert_id;

GO

execute sp_addextendedproperty 'MS_Description', N'number of the message within its alert, from 1', 'schema', dbo, 'table', alert_outbox, 'column', revision;

GO

execute sp_addextendedproperty 'MS_Description', N'CloudEvents 1.0 JSON', 'schema', dbo, 'table', alert_outbox, 'column', body;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was written (UTC ms)', 'schema', dbo, 'table', alert_outbox, 'column', created_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'when it reached the alerts hub (UTC); NULL: not yet', 'schema', dbo, 'table', alert_outbox, 'column', sent_at;

GO

CREATE INDEX ix_alert_outbox_sent_at_created_ms ON alert_outbox (sent_at, created_ms);

GO

CREATE TABLE silence (
    silence_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL,
    drug_id BIGINT NULL,
    reaction_id BIGINT NULL,
    until_ms BIGINT NOT NULL,
    who NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NOT NULL,
    reason NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NOT NULL,
    created_at DATETIME2 NOT NULL,
    CONSTRAINT pk_silence PRIMARY KEY (silence_id)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Pairs for which findings are kept but no alert is opened for a while.', 'schema', dbo, 'table', silence;

GO

execute sp_addextendedproperty 'MS_Description', N'random UUID', 'schema', dbo, 'table', silence, 'column', silence_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the drug, as in table drug; NULL: every drug', 'schema', dbo, 'table', silence, 'column', drug_id;

GO

execute sp_addextendedproperty 'MS_Description', N'the reaction, as in table reaction; NULL: every reaction', 'schema', dbo, 'table', silence, 'column', reaction_id;

GO

execute sp_addextendedproperty 'MS_Description', N'when it ends (UTC ms)', 'schema', dbo, 'table', silence, 'column', until_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'by whom', 'schema', dbo, 'table', silence, 'column', who;

GO

execute sp_addextendedproperty 'MS_Description', N'why, in the words of whoever set it', 'schema', dbo, 'table', silence, 'column', reason;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was set (UTC)', 'schema', dbo, 'table', silence, 'column', created_at;

GO

CREATE TABLE quarantined_report (
    hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL,
    generation BIGINT NOT NULL,
    partition_id NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL,
    sequence BIGINT NOT NULL,
    receipt_id BIGINT NOT NULL,
    enqueued_ms BIGINT NOT NULL,
    body VARBINARY(max) NOT NULL,
    reasons NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NOT NULL,
    path NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL,
    suite_version NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    state NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL,
    stored_at DATETIME2 NOT NULL,
    CONSTRAINT pk_quarantined_report PRIMARY KEY (hub, generation, partition_id, sequence)
);

GO

execute sp_addextendedproperty 'MS_Description', N'Reports that could not be used, whole, with why and where they came from.', 'schema', dbo, 'table', quarantined_report;

GO

execute sp_addextendedproperty 'MS_Description', N'namespace host/hub, or file:digest for a backfill', 'schema', dbo, 'table', quarantined_report, 'column', hub;

GO

execute sp_addextendedproperty 'MS_Description', N'created-at of the hub (UTC ms): tells a recreated one', 'schema', dbo, 'table', quarantined_report, 'column', generation;

GO

execute sp_addextendedproperty 'MS_Description', N'partition of the hub, from 0', 'schema', dbo, 'table', quarantined_report, 'column', partition_id;

GO

execute sp_addextendedproperty 'MS_Description', N'hub sequence number within its partition', 'schema', dbo, 'table', quarantined_report, 'column', sequence;

GO

execute sp_addextendedproperty 'MS_Description', N'receipt of the range it came in', 'schema', dbo, 'table', quarantined_report, 'column', receipt_id;

GO

execute sp_addextendedproperty 'MS_Description', N'when the hub took it in (UTC ms)', 'schema', dbo, 'table', quarantined_report, 'column', enqueued_ms;

GO

execute sp_addextendedproperty 'MS_Description', N'the original bytes; empty when pruned', 'schema', dbo, 'table', quarantined_report, 'column', body;

GO

execute sp_addextendedproperty 'MS_Description', N'reason codes, comma separated', 'schema', dbo, 'table', quarantined_report, 'column', reasons;

GO

execute sp_addextendedproperty 'MS_Description', N'JSON path of what broke, never the text', 'schema', dbo, 'table', quarantined_report, 'column', path;

GO

execute sp_addextendedproperty 'MS_Description', N'expectation suite that judged it', 'schema', dbo, 'table', quarantined_report, 'column', suite_version;

GO

execute sp_addextendedproperty 'MS_Description', N'kept, or pruned: the body is forgotten', 'schema', dbo, 'table', quarantined_report, 'column', state;

GO

execute sp_addextendedproperty 'MS_Description', N'when it was stored (UTC)', 'schema', dbo, 'table', quarantined_report, 'column', stored_at;

GO

CREATE INDEX ix_quarantined_report_stored_at ON quarantined_report (stored_at);

GO

INSERT INTO reactionwatch_version (version_num) VALUES ('0002');

GO

-- Running upgrade 0002 -> 0003

ALTER TABLE safety_report ADD unknown_fields INTEGER NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'fields it has that openFDA has not; NULL: not counted yet', 'schema', dbo, 'table', safety_report, 'column', unknown_fields;

GO

ALTER TABLE alert ADD expectation NVARCHAR(50) COLLATE Latin1_General_100_BIN2 NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'code of the failed expectation, where it is about the pipeline', 'schema', dbo, 'table', alert, 'column', expectation;

GO

ALTER TABLE alert ADD observed FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'what the expectation found, where it is about the pipeline', 'schema', dbo, 'table', alert, 'column', observed;

GO

ALTER TABLE quarantined_report ADD changed_at DATETIME2 NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'when its state or reasons last changed (UTC); NULL: never', 'schema', dbo, 'table', quarantined_report, 'column', changed_at;

GO

ALTER TABLE quarantined_report ADD changed_by NVARCHAR(200) COLLATE Latin1_General_100_BIN2 NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'who asked for that; NULL: nobody', 'schema', dbo, 'table', quarantined_report, 'column', changed_by;

GO

CREATE INDEX ix_quarantined_report_hub_state ON quarantined_report (hub, state);

GO

execute sp_updateextendedproperty 'MS_Description', N'what it is about: a spike of a pair, one unusual report or the pipeline', 'schema', dbo, 'table', alert, 'column', kind;

GO

execute sp_updateextendedproperty 'MS_Description', N'the original bytes; empty in every state but kept and replay', 'schema', dbo, 'table', quarantined_report, 'column', body;

GO

execute sp_updateextendedproperty 'MS_Description', N'kept, replay (asked for), replayed, discarded or pruned', 'schema', dbo, 'table', quarantined_report, 'column', state;

GO

UPDATE reactionwatch_version SET version_num='0003' WHERE reactionwatch_version.version_num = '0002';

GO

-- Running upgrade 0003 -> 0004

ALTER TABLE safety_report ADD duplicate_number NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'first reportduplicate.duplicatenumb: the number other senders gave the case', 'schema', dbo, 'table', safety_report, 'column', duplicate_number;

GO

ALTER TABLE spike ADD windows SMALLINT NOT NULL DEFAULT 1;

GO

execute sp_addextendedproperty 'MS_Description', N'windows that expected, spread, z and p are about: 1, or 2 with the one before', 'schema', dbo, 'table', spike, 'column', windows;

GO

ALTER TABLE spike ADD observed INTEGER NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'cases in these windows', 'schema', dbo, 'table', spike, 'column', observed;

GO

ALTER TABLE spike ADD pair_cases INTEGER NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'cases of the pair since counting began', 'schema', dbo, 'table', spike, 'column', pair_cases;

GO

ALTER TABLE spike ADD pair_expected FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'of these, how many chance alone would give', 'schema', dbo, 'table', spike, 'column', pair_expected;

GO

ALTER TABLE spike ADD prr FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'proportional reporting ratio since counting began', 'schema', dbo, 'table', spike, 'column', prr;

GO

ALTER TABLE spike ADD chi_squared FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'chi-squared of the same four-fold table, with Yates'' correction', 'schema', dbo, 'table', spike, 'column', chi_squared;

GO

ALTER TABLE spike ADD ror FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'reporting odds ratio since counting began', 'schema', dbo, 'table', spike, 'column', ror;

GO

ALTER TABLE spike ADD ror_lower FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'lower end of its 95% interval', 'schema', dbo, 'table', spike, 'column', ror_lower;

GO

ALTER TABLE spike ADD ror_upper FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'upper end of its 95% interval', 'schema', dbo, 'table', spike, 'column', ror_upper;

GO

ALTER TABLE spike ADD ic FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'information component since counting began: log2 of observed over expected, shrunk', 'schema', dbo, 'table', spike, 'column', ic;

GO

ALTER TABLE spike ADD ic025 FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'lower end of its 95% credibility interval', 'schema', dbo, 'table', spike, 'column', ic025;

GO

ALTER TABLE spike ADD ic975 FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'upper end of its 95% credibility interval', 'schema', dbo, 'table', spike, 'column', ic975;

GO

ALTER TABLE spike ADD largest_sender_share FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'share of the spike''s cases from the sender with most of them; NULL: none names one', 'schema', dbo, 'table', spike, 'column', largest_sender_share;

GO

ALTER TABLE spike ADD same_duplicate_number INTEGER NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'how many of the spike''s cases carry a duplicate number that another of them carries too', 'schema', dbo, 'table', spike, 'column', same_duplicate_number;

GO

ALTER TABLE spike ADD serious_share FLOAT NULL;

GO

execute sp_addextendedproperty 'MS_Description', N'share of serious cases among the spike''s that say; NULL: none says', 'schema', dbo, 'table', spike, 'column', serious_share;

GO

ALTER TABLE alert ADD windows SMALLINT NOT NULL DEFAULT 1;

GO

execute sp_addextendedproperty 'MS_Description', N'windows of that width that the evidence is from, ending with the last', 'schema', dbo, 'table', alert, 'column', windows;

GO

execute sp_updateextendedproperty 'MS_Description', N'cases expected in all of these windows', 'schema', dbo, 'table', spike, 'column', expected;

GO

execute sp_updateextendedproperty 'MS_Description', N'standard deviation of a quiet count', 'schema', dbo, 'table', spike, 'column', spread;

GO

execute sp_updateextendedproperty 'MS_Description', N'distance from the expectation in spreads (Anscombe residual)', 'schema', dbo, 'table', spike, 'column', z;

GO

execute sp_updateextendedproperty 'MS_Description', N'distinct cases in these windows', 'schema', dbo, 'table', alert, 'column', cases;

GO

execute sp_updateextendedproperty 'MS_Description', N'cases expected in these windows', 'schema', dbo, 'table', alert, 'column', expected;

GO

execute sp_updateextendedproperty 'MS_Description', N'standard deviation of a quiet count', 'schema', dbo, 'table', alert, 'column', spread;

GO

execute sp_updateextendedproperty 'MS_Description', N'distance from the expectation in spreads (Anscombe residual)', 'schema', dbo, 'table', alert, 'column', z;

GO

UPDATE reactionwatch_version SET version_num='0004' WHERE reactionwatch_version.version_num = '0003';

GO

CREATE VIEW FoldedReport AS
        SELECT r.*
        FROM safety_report r
        JOIN ingest_task t ON t.receipt_id = r.receipt_id
        WHERE t.folded_at IS NOT NULL;

GO

CREATE VIEW LatestReport AS
        SELECT f.*
        FROM FoldedReport f
        JOIN (SELECT case_key, MAX(version) AS version FROM FoldedReport GROUP BY case_key) newest
          ON newest.case_key = f.case_key AND newest.version = f.version;

GO

CREATE VIEW PatientAdverseEventReport AS
        SELECT r.safetyreportid,
               r.transmissiondate AS transmissiondate_converted,
               CAST(CASE WHEN r.age_whole_years > 89 THEN 90 ELSE r.age_whole_years END AS INTEGER) AS patientonsetage,
               CAST(r.sex AS INTEGER) AS patientsex,
               reaction.name AS reactionmeddrapt,
               drug.name AS drug_name,
               CAST(rd.characterization AS INTEGER) AS drug_characterization,
               rd.indication AS drug_indication,
               CAST(COALESCE(reaction.is_overdose, 0) AS BIT) AS is_overdose
        FROM LatestReport r
        JOIN report_drug rd ON rd.receipt_id = r.receipt_id AND rd.sequence = r.sequence
        JOIN report_reaction rr ON rr.receipt_id = r.receipt_id AND rr.sequence = r.sequence
        LEFT JOIN drug ON drug.drug_id = rd.drug_id
        LEFT JOIN reaction ON reaction.reaction_id = rr.reaction_id;

GO

CREATE VIEW CommonReactionByDrug AS
        SELECT drug.name AS drug_name,
               reaction.name AS reactionmeddrapt,
               SUM(w.cases) AS cases
        FROM reaction_window w
        JOIN drug ON drug.drug_id = w.drug_id
        JOIN reaction ON reaction.reaction_id = w.reaction_id
        WHERE w.width_ms = (SELECT MAX(width_ms) FROM window_clock)
        GROUP BY drug.name, reaction.name
        HAVING SUM(w.cases) > 0;

GO

CREATE VIEW AgeGroupByReaction AS
        SELECT reactionmeddrapt, age_group, COUNT(DISTINCT case_key) AS cases
        FROM (
            SELECT reaction.name AS reactionmeddrapt,
                   r.case_key,
                   CASE WHEN r.age_years IS NULL THEN 'unknown'
                        WHEN r.age_years < 0 OR r.age_years > 120 THEN 'implausible'
                        WHEN r.age_years < 2 THEN '00-01'
                        WHEN r.age_years < 12 THEN '02-11'
                        WHEN r.age_years < 18 THEN '12-17'
                        WHEN r.age_years < 45 THEN '18-44'
                        WHEN r.age_years < 65 THEN '45-64'
                        WHEN r.age_years < 75 THEN '65-74'
                        ELSE '75+' END AS age_group
            FROM LatestReport r
            JOIN report_reaction rr ON rr.receipt_id = r.receipt_id AND rr.sequence = r.sequence
            JOIN reaction ON reaction.reaction_id = rr.reaction_id
        ) grouped
        GROUP BY reactionmeddrapt, age_group;

GO

CREATE VIEW OverdoseTrend AS
        SELECT r.receivedate,
               COUNT(DISTINCT r.case_key) AS cases,
               COUNT(DISTINCT CASE WHEN reaction.is_overdose = 1 THEN r.case_key END) AS overdose_cases
        FROM LatestReport r
        JOIN report_reaction rr ON rr.receipt_id = r.receipt_id AND rr.sequence = r.sequence
        LEFT JOIN reaction ON reaction.reaction_id = rr.reaction_id
        GROUP BY r.receivedate;

GO

CREATE VIEW FlaggedEvent AS
        SELECT f.safetyreportid, f.version, f.receivedate, f.anomaly_score, f.anomaly_level, f.anomaly_reasons,
               f.warnings, f.model_version, f.suite_version, f.stored_at
        FROM FoldedReport f
        WHERE f.anomaly_level > 0 OR f.warnings IS NOT NULL;

GO

CREATE VIEW ReactionSpike AS
        SELECT drug.name AS drug_name, reaction.name AS reactionmeddrapt, s.width_ms, s.window_start_ms,
               s.cases, s.windows, s.observed, s.expected, s.spread, s.z, s.p,
               s.pair_cases, s.pair_expected, s.prr, s.chi_squared, s.ror, s.ror_lower, s.ror_upper,
               s.ic, s.ic025, s.ic975, s.largest_sender_share, s.same_duplicate_number, s.serious_share,
               s.stage, s.rules, s.rules_version, s.found_at
        FROM spike s
        JOIN drug ON drug.drug_id = s.drug_id
        JOIN reaction ON reaction.reaction_id = s.reaction_id;

GO

COMMIT;

GO

