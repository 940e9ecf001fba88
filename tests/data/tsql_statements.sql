-- Every T-SQL statement of the store's work, but for its tables (sql/azure/schema.sql). Written by a test:
-- REACTIONWATCH_RENEW_TSQL=1 pytest tests/contract/test_store_tsql.py -k word_for_word

CREATE TABLE [#fold_delta] ( width_ms BIGINT NOT NULL, window_start_ms BIGINT NOT NULL, drug_id BIGINT NOT NULL, reaction_id BIGINT NOT NULL, cases INTEGER NOT NULL, PRIMARY KEY (width_ms, window_start_ms, drug_id, reaction_id) )
GO

CREATE TABLE [#prune_message] ( outbox_id NVARCHAR(36) COLLATE Latin1_General_100_BIN2 NOT NULL, at DATETIME2 NOT NULL, PRIMARY KEY (outbox_id) )
GO

CREATE TABLE [#prune_refused] ( hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, generation BIGINT NOT NULL, partition_id NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL, sequence BIGINT NOT NULL, at DATETIME2 NOT NULL, PRIMARY KEY (hub, generation, partition_id, sequence) )
GO

CREATE TABLE [#prune_report] ( receipt_id BIGINT NOT NULL, sequence BIGINT NOT NULL, at DATETIME2 NOT NULL, PRIMARY KEY (receipt_id, sequence) )
GO

CREATE TABLE [#replay_done] ( hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, generation BIGINT NOT NULL, partition_id NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL, sequence BIGINT NOT NULL, PRIMARY KEY (hub, generation, partition_id, sequence) )
GO

CREATE TABLE [#replay_kept] ( hub NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, generation BIGINT NOT NULL, partition_id NVARCHAR(20) COLLATE Latin1_General_100_BIN2 NOT NULL, sequence BIGINT NOT NULL, reasons NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NOT NULL, path NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL, PRIMARY KEY (hub, generation, partition_id, sequence) )
GO

CREATE TABLE [#stage_block] ( length_ms BIGINT NOT NULL, start_ms BIGINT NOT NULL, PRIMARY KEY (length_ms, start_ms) )
GO

CREATE TABLE [#stage_candidate] ( ordinal INTEGER NOT NULL, width_ms BIGINT NOT NULL, window_start_ms BIGINT NOT NULL, drug_id BIGINT NOT NULL, reaction_id BIGINT NOT NULL, cases INTEGER NOT NULL, touched SMALLINT NOT NULL, PRIMARY KEY (ordinal) )
GO

CREATE TABLE [#stage_drug] ( sequence BIGINT NOT NULL, ordinal INTEGER NOT NULL, drug_id BIGINT NULL, product NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, characterization SMALLINT NULL, indication NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, PRIMARY KEY (sequence, ordinal) )
GO

CREATE TABLE [#stage_drug_name] ( drug_id BIGINT NOT NULL, name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, PRIMARY KEY (drug_id) )
GO

CREATE TABLE [#stage_pair] ( sequence BIGINT NOT NULL, drug_id BIGINT NOT NULL, reaction_id BIGINT NOT NULL, PRIMARY KEY (sequence, drug_id, reaction_id) )
GO

CREATE TABLE [#stage_reaction] ( sequence BIGINT NOT NULL, ordinal INTEGER NOT NULL, reaction_id BIGINT NULL, outcome SMALLINT NULL, PRIMARY KEY (sequence, ordinal) )
GO

CREATE TABLE [#stage_reaction_name] ( reaction_id BIGINT NOT NULL, name NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, is_overdose SMALLINT NULL, PRIMARY KEY (reaction_id) )
GO

CREATE TABLE [#stage_receipt] ( receipt_id BIGINT NOT NULL, PRIMARY KEY (receipt_id) )
GO

CREATE TABLE [#stage_refused] ( sequence BIGINT NOT NULL, enqueued_ms BIGINT NULL, body VARBINARY(max) NULL, reasons NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL, path NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL, PRIMARY KEY (sequence) )
GO

CREATE TABLE [#stage_report] ( sequence BIGINT NOT NULL, outcome SMALLINT NULL, is_first BIT NOT NULL, case_key BIGINT NULL, version BIGINT NULL, safetyreportid NVARCHAR(64) COLLATE Latin1_General_100_BIN2 NULL, digest VARBINARY(32) NULL, enqueued_ms BIGINT NULL, event_ms BIGINT NULL, receivedate DATE NULL, receiptdate DATE NULL, transmissiondate DATE NULL, serious BIT NULL, seriousness NVARCHAR(120) COLLATE Latin1_General_100_BIN2 NULL, age_years FLOAT NULL, age_whole_years SMALLINT NULL, sex SMALLINT NULL, weight_kg FLOAT NULL, qualification SMALLINT NULL, country NVARCHAR(100) COLLATE Latin1_General_100_BIN2 NULL, sender NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, company_number NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, drug_count INTEGER NULL, reaction_count INTEGER NULL, anomaly_score FLOAT NULL, anomaly_level SMALLINT NULL, anomaly_reasons NVARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL, warnings NVARCHAR(1000) COLLATE Latin1_General_100_BIN2 NULL, unknown_fields INTEGER NULL, duplicate_number NVARCHAR(500) COLLATE Latin1_General_100_BIN2 NULL, PRIMARY KEY (sequence) )
GO

CREATE TABLE [#stage_span] ( ordinal INTEGER NOT NULL, drug_id BIGINT NOT NULL, reaction_id BIGINT NOT NULL, from_ms BIGINT NOT NULL, until_ms BIGINT NOT NULL, PRIMARY KEY (ordinal) )
GO

DELETE FROM [#fold_delta]
GO

DELETE FROM [#prune_message]
GO

DELETE FROM [#prune_refused]
GO

DELETE FROM [#prune_report]
GO

DELETE FROM [#replay_done]
GO

DELETE FROM [#replay_kept]
GO

DELETE FROM [#stage_block]
GO

DELETE FROM [#stage_candidate]
GO

DELETE FROM [#stage_drug]
GO

DELETE FROM [#stage_drug_name]
GO

DELETE FROM [#stage_pair]
GO

DELETE FROM [#stage_reaction]
GO

DELETE FROM [#stage_reaction_name]
GO

DELETE FROM [#stage_receipt]
GO

DELETE FROM [#stage_refused]
GO

DELETE FROM [#stage_report]
GO

DELETE FROM [#stage_span]
GO

DELETE FROM alert_outbox WHERE EXISTS (SELECT * FROM [#prune_message] WHERE alert_outbox.outbox_id = [#prune_message].outbox_id)
GO

DELETE FROM report_drug WHERE EXISTS (SELECT * FROM [#prune_report] WHERE report_drug.receipt_id = [#prune_report].receipt_id AND report_drug.sequence = [#prune_report].sequence)
GO

DELETE FROM report_reaction WHERE EXISTS (SELECT * FROM [#prune_report] WHERE report_reaction.receipt_id = [#prune_report].receipt_id AND report_reaction.sequence = [#prune_report].sequence)
GO

DELETE FROM window_delta WHERE window_delta.receipt_id IN (SELECT [#stage_receipt].receipt_id FROM [#stage_receipt])
GO

INSERT INTO [#fold_delta] (width_ms, window_start_ms, drug_id, reaction_id, cases) SELECT ? AS width_ms, anon_1.start AS window_start_ms, anon_1.drug_id, anon_1.reaction_id, sum(anon_1.change) AS cases FROM (SELECT case_pair.drug_id AS drug_id, case_pair.reaction_id AS reaction_id, case_pair.event_ms - (case_pair.event_ms + ?) % ? AS start, ? AS change FROM case_pair UNION ALL SELECT window_delta.drug_id AS drug_id, window_delta.reaction_id AS reaction_id, window_delta.event_ms - (window_delta.event_ms + ?) % ? AS anon_2, -window_delta.delta AS anon_3 FROM window_delta) AS anon_1 GROUP BY anon_1.start, anon_1.drug_id, anon_1.reaction_id HAVING sum(anon_1.change) != ?
GO

INSERT INTO [#fold_delta] (width_ms, window_start_ms, drug_id, reaction_id, cases) SELECT ? AS width_ms, anon_1.start AS window_start_ms, anon_1.drug_id, anon_1.reaction_id, sum(anon_1.change) AS cases FROM (SELECT window_delta.drug_id AS drug_id, window_delta.reaction_id AS reaction_id, window_delta.event_ms - (window_delta.event_ms + ?) % ? AS start, window_delta.delta AS change FROM window_delta WHERE window_delta.receipt_id IN (SELECT [#stage_receipt].receipt_id FROM [#stage_receipt])) AS anon_1 GROUP BY anon_1.start, anon_1.drug_id, anon_1.reaction_id HAVING sum(anon_1.change) != ?
GO

INSERT INTO [#prune_message] (outbox_id, at) SELECT TOP 5000 alert_outbox.outbox_id, alert_outbox.sent_at AS at FROM alert_outbox WHERE alert_outbox.sent_at < ? AND alert_outbox.sent_at IS NOT NULL AND alert_outbox.sent_at >= ? ORDER BY alert_outbox.sent_at
GO

INSERT INTO [#prune_refused] (hub, generation, partition_id, sequence, at) SELECT TOP 5000 quarantined_report.hub, quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, quarantined_report.stored_at AS at FROM quarantined_report WHERE quarantined_report.stored_at < ? AND quarantined_report.state = ? AND (EXISTS (SELECT * FROM ingest_task WHERE ingest_task.receipt_id = quarantined_report.receipt_id AND ingest_task.folded_at IS NOT NULL)) AND quarantined_report.stored_at >= ? ORDER BY quarantined_report.stored_at
GO

INSERT INTO [#prune_report] (receipt_id, sequence, at) SELECT TOP 5000 safety_report.receipt_id, safety_report.sequence, safety_report.stored_at AS at FROM safety_report WHERE safety_report.stored_at < ? AND safety_report.pruned_at IS NULL AND (EXISTS (SELECT * FROM ingest_task WHERE ingest_task.receipt_id = safety_report.receipt_id AND ingest_task.folded_at IS NOT NULL)) AND safety_report.stored_at >= ? ORDER BY safety_report.stored_at
GO

INSERT INTO [#replay_done] (hub, generation, partition_id, sequence) VALUES (?, …)
GO

INSERT INTO [#replay_kept] (hub, generation, partition_id, sequence, reasons, path) VALUES (?, …)
GO

INSERT INTO [#stage_block] (length_ms, start_ms) SELECT anon_1.length_ms, anon_1.start_ms FROM (SELECT ? AS length_ms, [#stage_block].start_ms AS start_ms FROM [#stage_block] WHERE [#stage_block].length_ms = ? UNION ALL SELECT ? AS length_ms, [#stage_block].start_ms + ? AS start_ms FROM [#stage_block] WHERE [#stage_block].length_ms = ?) AS anon_1 WHERE (SELECT min(window_total.window_start_ms) AS min_1 FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms >= anon_1.start_ms AND window_total.window_start_ms < anon_1.start_ms + ?) IS NOT NULL
GO

INSERT INTO [#stage_block] (length_ms, start_ms) VALUES (?, …)
GO

INSERT INTO [#stage_candidate] (ordinal, width_ms, window_start_ms, drug_id, reaction_id, cases, touched) SELECT row_number() OVER (ORDER BY anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id) AS ordinal, anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id, anon_1.cases, max(anon_1.touched) AS touched FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) AS cases, ? AS touched FROM [#fold_delta] WHERE [#fold_delta].width_ms = ? AND [#fold_delta].window_start_ms >= ? AND [#fold_delta].cases > ? AND (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) >= ? UNION SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) AS cases, ? AS touched FROM [#fold_delta] WHERE [#fold_delta].width_ms = ? AND [#fold_delta].window_start_ms >= ? AND [#fold_delta].cases > ? AND (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) >= ?) AS anon_1 GROUP BY anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id, anon_1.cases
GO

INSERT INTO [#stage_candidate] (ordinal, width_ms, window_start_ms, drug_id, reaction_id, cases, touched) SELECT row_number() OVER (ORDER BY anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id) AS ordinal, anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id, anon_1.cases, max(anon_1.touched) AS touched FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) AS cases, ? AS touched FROM [#fold_delta] WHERE [#fold_delta].width_ms = ? AND [#fold_delta].window_start_ms >= ? AND [#fold_delta].cases > ? AND (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) >= ? UNION SELECT reaction_window.width_ms AS width_ms, reaction_window.window_start_ms AS window_start_ms, reaction_window.drug_id AS drug_id, reaction_window.reaction_id AS reaction_id, reaction_window.cases AS cases, ? AS touched FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms > ? AND reaction_window.window_start_ms <= ? AND reaction_window.window_start_ms >= ? AND reaction_window.cases >= ? UNION SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) AS cases, ? AS touched FROM [#fold_delta] WHERE [#fold_delta].width_ms = ? AND [#fold_delta].window_start_ms >= ? AND [#fold_delta].cases > ? AND (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) >= ? UNION SELECT reaction_window.width_ms AS width_ms, reaction_window.window_start_ms AS window_start_ms, reaction_window.drug_id AS drug_id, reaction_window.reaction_id AS reaction_id, reaction_window.cases AS cases, ? AS touched FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms > ? AND reaction_window.window_start_ms <= ? AND reaction_window.window_start_ms >= ? AND reaction_window.cases >= ?) AS anon_1 GROUP BY anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id, anon_1.cases
GO

INSERT INTO [#stage_candidate] (ordinal, width_ms, window_start_ms, drug_id, reaction_id, cases, touched) SELECT row_number() OVER (ORDER BY anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id) AS ordinal, anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id, anon_1.cases, max(anon_1.touched) AS touched FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) AS cases, ? AS touched FROM [#fold_delta] WHERE [#fold_delta].width_ms = ? AND [#fold_delta].window_start_ms >= ? AND [#fold_delta].cases > ? AND (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) >= ? UNION SELECT reaction_window.width_ms AS width_ms, reaction_window.window_start_ms AS window_start_ms, reaction_window.drug_id AS drug_id, reaction_window.reaction_id AS reaction_id, reaction_window.cases AS cases, ? AS touched FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms > ? AND reaction_window.window_start_ms <= ? AND reaction_window.window_start_ms >= ? AND reaction_window.cases >= ? UNION SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) AS cases, ? AS touched FROM [#fold_delta] WHERE [#fold_delta].width_ms = ? AND [#fold_delta].window_start_ms >= ? AND [#fold_delta].cases > ? AND (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = [#fold_delta].width_ms AND reaction_window.window_start_ms = [#fold_delta].window_start_ms AND reaction_window.drug_id = [#fold_delta].drug_id AND reaction_window.reaction_id = [#fold_delta].reaction_id) >= ?) AS anon_1 GROUP BY anon_1.width_ms, anon_1.window_start_ms, anon_1.drug_id, anon_1.reaction_id, anon_1.cases
GO

INSERT INTO [#stage_candidate] (ordinal, width_ms, window_start_ms, drug_id, reaction_id, cases, touched) VALUES (?, …)
GO

INSERT INTO [#stage_drug] (sequence, ordinal, drug_id, product, characterization, indication) VALUES (?, …)
GO

INSERT INTO [#stage_drug_name] (drug_id, name) VALUES (?, …)
GO

INSERT INTO [#stage_pair] (sequence, drug_id, reaction_id) VALUES (?, …)
GO

INSERT INTO [#stage_reaction] (sequence, ordinal, reaction_id, outcome) VALUES (?, …)
GO

INSERT INTO [#stage_reaction_name] (reaction_id, name, is_overdose) VALUES (?, …)
GO

INSERT INTO [#stage_receipt] (receipt_id) SELECT ingest_task.receipt_id FROM ingest_task WHERE ingest_task.hub = ? AND ingest_task.folded_at IS NULL
GO

INSERT INTO [#stage_refused] (sequence, enqueued_ms, body, reasons, path) VALUES (?, …)
GO

INSERT INTO [#stage_report] (sequence, outcome, is_first, case_key, version, safetyreportid, digest, enqueued_ms, event_ms, receivedate, receiptdate, transmissiondate, serious, seriousness, age_years, age_whole_years, sex, weight_kg, qualification, country, sender, company_number, drug_count, reaction_count, anomaly_score, anomaly_level, anomaly_reasons, warnings, unknown_fields, duplicate_number) VALUES (?, …)
GO

INSERT INTO [#stage_span] (ordinal, drug_id, reaction_id, from_ms, until_ms) VALUES (?, …)
GO

INSERT INTO alert (alert_id, kind, status, drug_id, reaction_id, case_key, version, score, reasons, opened_at_ms, since_ms, last_alarm_end_ms, width_ms, window_start_ms, cases, expected, spread, z, p, widths, published_cases, revision, closed_at_ms, expectation, observed, windows) VALUES (?, ?, ?, ?, ?, NULL, NULL, NULL, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL, ?)
GO

INSERT INTO alert (alert_id, kind, status, drug_id, reaction_id, case_key, version, score, reasons, opened_at_ms, since_ms, last_alarm_end_ms, width_ms, window_start_ms, cases, expected, spread, z, p, widths, published_cases, revision, closed_at_ms, expectation, observed, windows) VALUES (?, ?, ?, NULL, NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)
GO

INSERT INTO alert_case (alert_id, case_key) VALUES (?, …)
GO

INSERT INTO alert_history (alert_id, entry, at, who, change, old, new) VALUES (?, ?, ?, ?, ?, NULL, ?)
GO

INSERT INTO alert_history (alert_id, entry, at, who, change, old, new) VALUES (?, …)
GO

INSERT INTO alert_outbox (outbox_id, alert_id, revision, body, created_ms) VALUES (?, …)
GO

INSERT INTO case_pair (case_key, drug_id, reaction_id, event_ms, moved_by) SELECT s.case_key, s.drug_id, s.reaction_id, s.event_ms, s.moved_by FROM (SELECT [#stage_report].case_key AS case_key, [#stage_pair].drug_id AS drug_id, [#stage_pair].reaction_id AS reaction_id, min([#stage_report].event_ms) AS event_ms, ? AS moved_by FROM [#stage_report] JOIN [#stage_pair] ON [#stage_pair].sequence = [#stage_report].sequence AND [#stage_report].outcome IN (?, …) WHERE [#stage_report].outcome IS NOT NULL GROUP BY [#stage_report].case_key, [#stage_pair].drug_id, [#stage_pair].reaction_id) AS s WHERE NOT (EXISTS (SELECT * FROM case_pair WHERE case_pair.case_key = s.case_key AND case_pair.drug_id = s.drug_id AND case_pair.reaction_id = s.reaction_id))
GO

INSERT INTO drug (drug_id, name) SELECT s.drug_id, s.name FROM (SELECT [#stage_drug_name].drug_id AS drug_id, [#stage_drug_name].name AS name FROM [#stage_drug_name]) AS s WHERE NOT (EXISTS (SELECT * FROM drug WHERE drug.drug_id = s.drug_id))
GO

INSERT INTO hub_position (hub, generation, partition_id, next_sequence, epoch) VALUES (?, …)
GO

INSERT INTO ingest_task (receipt_id, hub, generation, partition_id, first_sequence, last_sequence, stored, quarantined, duplicates, epoch, model_version, suite_version, written_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)
GO

INSERT INTO quarantined_report (hub, generation, partition_id, sequence, enqueued_ms, body, reasons, path, receipt_id, suite_version, state, stored_at) SELECT ? AS hub, ? AS generation, ? AS partition_id, [#stage_refused].sequence, [#stage_refused].enqueued_ms, [#stage_refused].body, [#stage_refused].reasons, [#stage_refused].path, ? AS receipt_id, ? AS suite_version, ? AS state, ? AS stored_at FROM [#stage_refused]
GO

INSERT INTO reaction (reaction_id, name, is_overdose) SELECT s.reaction_id, s.name, s.is_overdose FROM (SELECT [#stage_reaction_name].reaction_id AS reaction_id, [#stage_reaction_name].name AS name, [#stage_reaction_name].is_overdose AS is_overdose FROM [#stage_reaction_name]) AS s WHERE NOT (EXISTS (SELECT * FROM reaction WHERE reaction.reaction_id = s.reaction_id))
GO

INSERT INTO reaction_window (width_ms, window_start_ms, drug_id, reaction_id, cases) SELECT s.width_ms, s.window_start_ms, s.drug_id, s.reaction_id, s.cases FROM (SELECT s.width_ms AS width_ms, s.window_start_ms AS window_start_ms, s.drug_id AS drug_id, s.reaction_id AS reaction_id, ? AS cases FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, [#fold_delta].cases AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ?) AS s) AS s WHERE NOT (EXISTS (SELECT * FROM reaction_window WHERE reaction_window.width_ms = s.width_ms AND reaction_window.window_start_ms = s.window_start_ms AND reaction_window.drug_id = s.drug_id AND reaction_window.reaction_id = s.reaction_id))
GO

INSERT INTO report_drug (receipt_id, sequence, ordinal, drug_id, product, characterization, indication) SELECT ? AS receipt_id, [#stage_drug].sequence, [#stage_drug].ordinal, [#stage_drug].drug_id, [#stage_drug].product, [#stage_drug].characterization, [#stage_drug].indication FROM [#stage_report] JOIN [#stage_drug] ON [#stage_drug].sequence = [#stage_report].sequence WHERE [#stage_report].outcome = ?
GO

INSERT INTO report_reaction (receipt_id, sequence, ordinal, reaction_id, outcome) SELECT ? AS receipt_id, [#stage_reaction].sequence, [#stage_reaction].ordinal, [#stage_reaction].reaction_id, [#stage_reaction].outcome FROM [#stage_report] JOIN [#stage_reaction] ON [#stage_reaction].sequence = [#stage_report].sequence WHERE [#stage_report].outcome = ?
GO

INSERT INTO safety_report (sequence, case_key, version, safetyreportid, digest, enqueued_ms, event_ms, receivedate, receiptdate, transmissiondate, serious, seriousness, age_years, age_whole_years, sex, weight_kg, qualification, country, sender, company_number, drug_count, reaction_count, anomaly_score, anomaly_level, anomaly_reasons, warnings, unknown_fields, duplicate_number, receipt_id, model_version, suite_version, stored_at) SELECT s.sequence, s.case_key, s.version, s.safetyreportid, s.digest, s.enqueued_ms, s.event_ms, s.receivedate, s.receiptdate, s.transmissiondate, s.serious, s.seriousness, s.age_years, s.age_whole_years, s.sex, s.weight_kg, s.qualification, s.country, s.sender, s.company_number, s.drug_count, s.reaction_count, s.anomaly_score, s.anomaly_level, s.anomaly_reasons, s.warnings, s.unknown_fields, s.duplicate_number, s.receipt_id, s.model_version, s.suite_version, s.stored_at FROM (SELECT [#stage_report].sequence AS sequence, [#stage_report].case_key AS case_key, [#stage_report].version AS version, [#stage_report].safetyreportid AS safetyreportid, [#stage_report].digest AS digest, [#stage_report].enqueued_ms AS enqueued_ms, [#stage_report].event_ms AS event_ms, [#stage_report].receivedate AS receivedate, [#stage_report].receiptdate AS receiptdate, [#stage_report].transmissiondate AS transmissiondate, [#stage_report].serious AS serious, [#stage_report].seriousness AS seriousness, [#stage_report].age_years AS age_years, [#stage_report].age_whole_years AS age_whole_years, [#stage_report].sex AS sex, [#stage_report].weight_kg AS weight_kg, [#stage_report].qualification AS qualification, [#stage_report].country AS country, [#stage_report].sender AS sender, [#stage_report].company_number AS company_number, [#stage_report].drug_count AS drug_count, [#stage_report].reaction_count AS reaction_count, [#stage_report].anomaly_score AS anomaly_score, [#stage_report].anomaly_level AS anomaly_level, [#stage_report].anomaly_reasons AS anomaly_reasons, [#stage_report].warnings AS warnings, [#stage_report].unknown_fields AS unknown_fields, [#stage_report].duplicate_number AS duplicate_number, ? AS receipt_id, NULL AS model_version, ? AS suite_version, ? AS stored_at FROM [#stage_report] WHERE [#stage_report].is_first = 1) AS s WHERE NOT (EXISTS (SELECT * FROM safety_report WHERE safety_report.case_key = s.case_key AND safety_report.version = s.version))
GO

INSERT INTO spike (width_ms, window_start_ms, drug_id, reaction_id, cases, expected, spread, z, p, stage, rules, rules_version, found_at, windows, observed, pair_cases, pair_expected, prr, chi_squared, ror, ror_lower, ror_upper, ic, ic025, ic975, largest_sender_share, same_duplicate_number, serious_share) VALUES (?, …)
GO

INSERT INTO stream_lease (hub, epoch, holder, beat_ms) VALUES (?, …)
GO

INSERT INTO window_clock (width_ms, closed_until_ms) VALUES (?, …)
GO

INSERT INTO window_delta (receipt_id, drug_id, reaction_id, event_ms, delta) SELECT ? AS receipt_id, anon_1.drug_id, anon_1.reaction_id, anon_1.event_ms, sum(anon_1.change) AS delta FROM (SELECT mine.drug_id AS drug_id, mine.reaction_id AS reaction_id, mine.event_ms AS event_ms, ? AS change FROM (SELECT case_pair.drug_id AS drug_id, case_pair.reaction_id AS reaction_id, case_pair.event_ms AS event_ms, case_pair.prev_ms AS prev_ms FROM (SELECT DISTINCT [#stage_report].case_key AS case_key, [#stage_pair].drug_id AS drug_id, [#stage_pair].reaction_id AS reaction_id FROM [#stage_report] JOIN [#stage_pair] ON [#stage_pair].sequence = [#stage_report].sequence AND [#stage_report].outcome IN (?, …)) AS anon_2 JOIN case_pair ON case_pair.case_key = anon_2.case_key AND case_pair.drug_id = anon_2.drug_id AND case_pair.reaction_id = anon_2.reaction_id AND case_pair.moved_by + ? = ?) AS mine UNION ALL SELECT mine.drug_id AS drug_id, mine.reaction_id AS reaction_id, mine.prev_ms AS prev_ms, ? AS anon_3 FROM (SELECT case_pair.drug_id AS drug_id, case_pair.reaction_id AS reaction_id, case_pair.event_ms AS event_ms, case_pair.prev_ms AS prev_ms FROM (SELECT DISTINCT [#stage_report].case_key AS case_key, [#stage_pair].drug_id AS drug_id, [#stage_pair].reaction_id AS reaction_id FROM [#stage_report] JOIN [#stage_pair] ON [#stage_pair].sequence = [#stage_report].sequence AND [#stage_report].outcome IN (?, …)) AS anon_2 JOIN case_pair ON case_pair.case_key = anon_2.case_key AND case_pair.drug_id = anon_2.drug_id AND case_pair.reaction_id = anon_2.reaction_id AND case_pair.moved_by + ? = ?) AS mine WHERE mine.prev_ms IS NOT NULL) AS anon_1 GROUP BY anon_1.drug_id, anon_1.reaction_id, anon_1.event_ms
GO

INSERT INTO window_total (width_ms, window_start_ms, drug_id, reaction_id, cases) SELECT s.width_ms, s.window_start_ms, s.drug_id, s.reaction_id, s.cases FROM (SELECT s.width_ms AS width_ms, s.window_start_ms AS window_start_ms, s.drug_id AS drug_id, s.reaction_id AS reaction_id, ? AS cases FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, ? AS drug_id, ? AS reaction_id, sum([#fold_delta].cases) AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ? GROUP BY [#fold_delta].width_ms, [#fold_delta].window_start_ms) AS s) AS s WHERE NOT (EXISTS (SELECT * FROM window_total WHERE window_total.width_ms = s.width_ms AND window_total.window_start_ms = s.window_start_ms AND window_total.drug_id = s.drug_id AND window_total.reaction_id = s.reaction_id))
GO

INSERT INTO window_total (width_ms, window_start_ms, drug_id, reaction_id, cases) SELECT s.width_ms, s.window_start_ms, s.drug_id, s.reaction_id, s.cases FROM (SELECT s.width_ms AS width_ms, s.window_start_ms AS window_start_ms, s.drug_id AS drug_id, s.reaction_id AS reaction_id, ? AS cases FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, ? AS drug_id, [#fold_delta].reaction_id AS reaction_id, sum([#fold_delta].cases) AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ? GROUP BY [#fold_delta].width_ms, [#fold_delta].window_start_ms, [#fold_delta].reaction_id) AS s) AS s WHERE NOT (EXISTS (SELECT * FROM window_total WHERE window_total.width_ms = s.width_ms AND window_total.window_start_ms = s.window_start_ms AND window_total.drug_id = s.drug_id AND window_total.reaction_id = s.reaction_id))
GO

INSERT INTO window_total (width_ms, window_start_ms, drug_id, reaction_id, cases) SELECT s.width_ms, s.window_start_ms, s.drug_id, s.reaction_id, s.cases FROM (SELECT s.width_ms AS width_ms, s.window_start_ms AS window_start_ms, s.drug_id AS drug_id, s.reaction_id AS reaction_id, ? AS cases FROM (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, ? AS reaction_id, sum([#fold_delta].cases) AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ? GROUP BY [#fold_delta].width_ms, [#fold_delta].window_start_ms, [#fold_delta].drug_id) AS s) AS s WHERE NOT (EXISTS (SELECT * FROM window_total WHERE window_total.width_ms = s.width_ms AND window_total.window_start_ms = s.window_start_ms AND window_total.drug_id = s.drug_id AND window_total.reaction_id = s.reaction_id))
GO

SELECT 1
GO

SELECT @@SPID
GO

SELECT @@TRANCOUNT
GO

SELECT DISTINCT ingest_task.hub FROM ingest_task WHERE ingest_task.partition_id = ? AND ingest_task.folded_at IS NULL ORDER BY ingest_task.hub
GO

SELECT DISTINCT quarantined_report.hub, quarantined_report.generation FROM quarantined_report ORDER BY quarantined_report.hub, quarantined_report.generation
GO

SELECT DISTINCT quarantined_report.reasons FROM quarantined_report
GO

SELECT TOP 1 [#stage_drug_name].drug_id FROM [#stage_drug_name] JOIN drug ON drug.drug_id = [#stage_drug_name].drug_id WHERE drug.name != [#stage_drug_name].name
GO

SELECT TOP 1 [#stage_reaction_name].reaction_id FROM [#stage_reaction_name] JOIN reaction ON reaction.reaction_id = [#stage_reaction_name].reaction_id WHERE reaction.name != [#stage_reaction_name].name
GO

SELECT TOP 1 quarantined_report.generation FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.state = ?
GO

SELECT TOP 1 quarantined_report.stored_at, quarantined_report.hub, quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, DATALENGTH(quarantined_report.body) AS size, quarantined_report.reasons, quarantined_report.path, quarantined_report.suite_version, quarantined_report.state, quarantined_report.changed_at, quarantined_report.changed_by FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.generation = ? AND quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) ORDER BY quarantined_report.stored_at DESC, quarantined_report.hub, quarantined_report.generation DESC, quarantined_report.partition_id, quarantined_report.sequence DESC
GO

SELECT TOP 10 quarantined_report.stored_at, quarantined_report.hub, quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, DATALENGTH(quarantined_report.body) AS size, quarantined_report.reasons, quarantined_report.path, quarantined_report.suite_version, quarantined_report.state, quarantined_report.changed_at, quarantined_report.changed_by FROM quarantined_report ORDER BY quarantined_report.stored_at DESC, quarantined_report.hub, quarantined_report.generation DESC, quarantined_report.partition_id, quarantined_report.sequence DESC
GO

SELECT TOP 3 alert_outbox.outbox_id, alert_outbox.alert_id, alert_outbox.revision, alert_outbox.body FROM alert_outbox WHERE alert_outbox.sent_at IS NULL ORDER BY alert_outbox.created_ms, alert_outbox.alert_id, alert_outbox.revision
GO

SELECT TOP 5 quarantined_report.partition_id, quarantined_report.sequence, quarantined_report.enqueued_ms, quarantined_report.body FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.state = ? AND quarantined_report.generation = ? ORDER BY quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence
GO

SELECT TOP 5 quarantined_report.stored_at, quarantined_report.hub, quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, DATALENGTH(quarantined_report.body) AS size, quarantined_report.reasons, quarantined_report.path, quarantined_report.suite_version, quarantined_report.state, quarantined_report.changed_at, quarantined_report.changed_by FROM quarantined_report WHERE quarantined_report.state IN (?) AND quarantined_report.hub IN (?) AND (quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) OR quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) AND quarantined_report.generation = ?) AND quarantined_report.stored_at >= ? AND quarantined_report.stored_at < ? AND quarantined_report.reasons IN (?) ORDER BY quarantined_report.stored_at DESC, quarantined_report.hub, quarantined_report.generation DESC, quarantined_report.partition_id, quarantined_report.sequence DESC
GO

SELECT TOP 500 quarantined_report.generation, DATALENGTH(quarantined_report.body) AS size FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.state = ? ORDER BY quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence
GO

SELECT [#stage_candidate].ordinal, [#stage_candidate].window_start_ms, [#stage_candidate].drug_id, [#stage_candidate].reaction_id, [#stage_candidate].cases, [#stage_candidate].touched FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? ORDER BY [#stage_candidate].ordinal
GO

SELECT [#stage_candidate].ordinal, case_pair.event_ms, case_pair.case_key, (SELECT TOP 1 safety_report.duplicate_number FROM safety_report WHERE safety_report.case_key = case_pair.case_key ORDER BY safety_report.version DESC) AS duplicate_number FROM [#stage_candidate] JOIN case_pair ON case_pair.drug_id = [#stage_candidate].drug_id AND case_pair.reaction_id = [#stage_candidate].reaction_id AND case_pair.event_ms >= ([#stage_candidate].window_start_ms - ?) - ? AND case_pair.event_ms < [#stage_candidate].window_start_ms + ?
GO

SELECT [#stage_receipt].receipt_id FROM [#stage_receipt] ORDER BY [#stage_receipt].receipt_id
GO

SELECT [#stage_report].sequence, [#stage_report].outcome FROM [#stage_report]
GO

SELECT [#stage_span].ordinal, (SELECT TOP 1 safety_report.sender FROM safety_report WHERE safety_report.case_key = case_pair.case_key ORDER BY safety_report.version DESC) AS sender, (SELECT TOP 1 safety_report.duplicate_number FROM safety_report WHERE safety_report.case_key = case_pair.case_key ORDER BY safety_report.version DESC) AS duplicate_number, (SELECT TOP 1 safety_report.serious FROM safety_report WHERE safety_report.case_key = case_pair.case_key ORDER BY safety_report.version DESC) AS serious FROM [#stage_span] JOIN case_pair ON case_pair.drug_id = [#stage_span].drug_id AND case_pair.reaction_id = [#stage_span].reaction_id AND case_pair.event_ms >= [#stage_span].from_ms AND case_pair.event_ms < [#stage_span].until_ms
GO

SELECT alert.alert_id, alert.kind, alert.status, alert.drug_id, alert.reaction_id, alert.case_key, alert.version, alert.score, alert.reasons, alert.opened_at_ms, alert.since_ms, alert.last_alarm_end_ms, alert.width_ms, alert.window_start_ms, alert.cases, alert.expected, alert.spread, alert.z, alert.p, alert.widths, alert.published_cases, alert.revision, alert.closed_at_ms, alert.expectation, alert.observed, alert.windows, drug.name AS drug, reaction.name AS reaction FROM alert LEFT OUTER JOIN drug ON drug.drug_id = alert.drug_id LEFT OUTER JOIN reaction ON reaction.reaction_id = alert.reaction_id WHERE alert.status = ? ORDER BY alert.alert_id
GO

SELECT alert_case.alert_id, alert_case.case_key FROM alert_case WHERE alert_case.alert_id IN (?)
GO

SELECT alert_history.alert_id, alert_history.entry FROM alert_history WHERE alert_history.alert_id IN (?)
GO

SELECT anon_1.drug_id, (SELECT min(case_pair.event_ms) AS min_1 FROM case_pair WHERE case_pair.drug_id = anon_1.drug_id) AS first FROM (SELECT DISTINCT [#stage_candidate].drug_id AS drug_id FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ?) AS anon_1
GO

SELECT anon_1.drug_id, anon_1.reaction_id, sum(anon_1.cases) AS sum_1 FROM (SELECT anon_2.drug_id AS drug_id, anon_2.reaction_id AS reaction_id, (SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = [#stage_block].start_ms AND reaction_window.drug_id = anon_2.drug_id AND reaction_window.reaction_id = anon_2.reaction_id) AS cases FROM (SELECT DISTINCT [#stage_span].drug_id AS drug_id, [#stage_span].reaction_id AS reaction_id FROM [#stage_span]) AS anon_2 JOIN [#stage_block] ON [#stage_block].length_ms = ?) AS anon_1 GROUP BY anon_1.drug_id, anon_1.reaction_id
GO

SELECT anon_1.drug_id, anon_1.reaction_id, sum(anon_1.cases) AS sum_1 FROM (SELECT anon_2.drug_id AS drug_id, anon_2.reaction_id AS reaction_id, (SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = [#stage_block].start_ms AND window_total.drug_id = anon_2.drug_id AND window_total.reaction_id = anon_2.reaction_id) AS cases FROM (SELECT [#stage_span].drug_id AS drug_id, ? AS reaction_id FROM [#stage_span] UNION SELECT ? AS drug_id, [#stage_span].reaction_id AS reaction_id FROM [#stage_span] UNION SELECT ? AS drug_id, ? AS reaction_id) AS anon_2 JOIN [#stage_block] ON [#stage_block].length_ms = ?) AS anon_1 GROUP BY anon_1.drug_id, anon_1.reaction_id
GO

SELECT anon_1.ordinal, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_0, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_1, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_2, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_3, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_4, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_5, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_6, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_7, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_8, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_9, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_10, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_11, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_12, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_13, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_14, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_15, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_16, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_17, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_18, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_19, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_20, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_21, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_22, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_23, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_24, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_25, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_26, coalesce((SELECT reaction_window.cases FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms = anon_1.window_start_ms - ? AND reaction_window.drug_id = anon_1.drug_id AND reaction_window.reaction_id = anon_1.reaction_id), ?) AS at_27 FROM (SELECT min([#stage_candidate].ordinal) AS ordinal, [#stage_candidate].window_start_ms AS window_start_ms, [#stage_candidate].drug_id AS drug_id, [#stage_candidate].reaction_id AS reaction_id FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? GROUP BY [#stage_candidate].window_start_ms, [#stage_candidate].drug_id, [#stage_candidate].reaction_id) AS anon_1
GO

SELECT anon_1.ordinal, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_0, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_1, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_2, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_3, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_4, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_5, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_6, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_7, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_8, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_9, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_10, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_11, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_12, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_13, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_14, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_15, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_16, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_17, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_18, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_19, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_20, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_21, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_22, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_23, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_24, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_25, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_26, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = ?), ?) AS at_27 FROM (SELECT min([#stage_candidate].ordinal) AS ordinal, [#stage_candidate].window_start_ms AS window_start_ms FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? GROUP BY [#stage_candidate].window_start_ms) AS anon_1
GO

SELECT anon_1.ordinal, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_0 FROM (SELECT min([#stage_candidate].ordinal) AS ordinal, [#stage_candidate].window_start_ms AS window_start_ms, [#stage_candidate].reaction_id AS reaction_id FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? GROUP BY [#stage_candidate].window_start_ms, [#stage_candidate].reaction_id) AS anon_1
GO

SELECT anon_1.ordinal, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_0, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_1, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_2, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_3, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_4, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_5, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_6, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_7, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_8, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_9, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_10, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_11, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_12, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_13, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_14, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_15, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_16, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_17, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_18, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_19, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_20, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_21, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_22, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_23, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_24, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_25, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_26, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = ? AND window_total.reaction_id = anon_1.reaction_id), ?) AS at_27 FROM (SELECT min([#stage_candidate].ordinal) AS ordinal, [#stage_candidate].window_start_ms AS window_start_ms, [#stage_candidate].reaction_id AS reaction_id FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? GROUP BY [#stage_candidate].window_start_ms, [#stage_candidate].reaction_id) AS anon_1
GO

SELECT anon_1.ordinal, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_0 FROM (SELECT min([#stage_candidate].ordinal) AS ordinal, [#stage_candidate].window_start_ms AS window_start_ms, [#stage_candidate].drug_id AS drug_id FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? GROUP BY [#stage_candidate].window_start_ms, [#stage_candidate].drug_id) AS anon_1
GO

SELECT anon_1.ordinal, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_0, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_1, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_2, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_3, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_4, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_5, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_6, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_7, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_8, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_9, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_10, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_11, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_12, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_13, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_14, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_15, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_16, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_17, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_18, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_19, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_20, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_21, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_22, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_23, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_24, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_25, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_26, coalesce((SELECT window_total.cases FROM window_total WHERE window_total.width_ms = ? AND window_total.window_start_ms = anon_1.window_start_ms - ? AND window_total.drug_id = anon_1.drug_id AND window_total.reaction_id = ?), ?) AS at_27 FROM (SELECT min([#stage_candidate].ordinal) AS ordinal, [#stage_candidate].window_start_ms AS window_start_ms, [#stage_candidate].drug_id AS drug_id FROM [#stage_candidate] WHERE [#stage_candidate].width_ms = ? GROUP BY [#stage_candidate].window_start_ms, [#stage_candidate].drug_id) AS anon_1
GO

SELECT coalesce(sum((ingest_task.last_sequence - ingest_task.first_sequence) + ?), ?) AS coalesce_1, coalesce(sum(ingest_task.duplicates), ?) AS coalesce_3 FROM ingest_task
GO

SELECT coalesce(sum((ingest_task.last_sequence - ingest_task.first_sequence) + ?), ?) AS coalesce_1, coalesce(sum(ingest_task.duplicates), ?) AS coalesce_3 FROM ingest_task WHERE ingest_task.hub = ?
GO

SELECT count(*) AS count_1 FROM [#stage_drug_name]
GO

SELECT count(*) AS count_1 FROM [#stage_drug_name] JOIN drug ON drug.drug_id = [#stage_drug_name].drug_id
GO

SELECT count(*) AS count_1 FROM [#stage_reaction_name]
GO

SELECT count(*) AS count_1 FROM [#stage_reaction_name] JOIN reaction ON reaction.reaction_id = [#stage_reaction_name].reaction_id
GO

SELECT count(*) AS count_1 FROM alert
GO

SELECT count(*) AS count_1 FROM alert WHERE alert.status = ?
GO

SELECT count(*) AS count_1 FROM alert_outbox WHERE alert_outbox.sent_at < ? AND alert_outbox.sent_at IS NOT NULL
GO

SELECT count(*) AS count_1 FROM alert_outbox WHERE alert_outbox.sent_at IS NOT NULL
GO

SELECT count(*) AS count_1 FROM ingest_task WHERE ingest_task.folded_at IS NULL
GO

SELECT count(*) AS count_1 FROM ingest_task WHERE ingest_task.hub = ? AND ingest_task.folded_at IS NULL
GO

SELECT count(*) AS count_1 FROM quarantined_report JOIN ingest_task ON ingest_task.receipt_id = quarantined_report.receipt_id WHERE ingest_task.hub = ? AND quarantined_report.state != ?
GO

SELECT count(*) AS count_1 FROM quarantined_report JOIN ingest_task ON ingest_task.receipt_id = quarantined_report.receipt_id WHERE ingest_task.hub = ? AND quarantined_report.state = ?
GO

SELECT count(*) AS count_1 FROM quarantined_report JOIN ingest_task ON ingest_task.receipt_id = quarantined_report.receipt_id WHERE quarantined_report.state != ?
GO

SELECT count(*) AS count_1 FROM quarantined_report JOIN ingest_task ON ingest_task.receipt_id = quarantined_report.receipt_id WHERE quarantined_report.state = ?
GO

SELECT count(*) AS count_1 FROM quarantined_report WHERE 0 = 1
GO

SELECT count(*) AS count_1 FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.state = ?
GO

SELECT count(*) AS count_1 FROM quarantined_report WHERE quarantined_report.state IN (?) AND quarantined_report.hub IN (?) AND (quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) OR quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) AND quarantined_report.generation = ?) AND quarantined_report.stored_at >= ? AND quarantined_report.stored_at < ? AND quarantined_report.reasons IN (?)
GO

SELECT count(*) AS count_1 FROM quarantined_report WHERE quarantined_report.stored_at < ? AND quarantined_report.state = ? AND (EXISTS (SELECT * FROM ingest_task WHERE ingest_task.receipt_id = quarantined_report.receipt_id AND ingest_task.folded_at IS NOT NULL))
GO

SELECT count(*) AS count_1 FROM safety_report JOIN ingest_task ON ingest_task.receipt_id = safety_report.receipt_id
GO

SELECT count(*) AS count_1 FROM safety_report JOIN ingest_task ON ingest_task.receipt_id = safety_report.receipt_id WHERE ingest_task.hub = ?
GO

SELECT count(*) AS count_1 FROM safety_report JOIN ingest_task ON ingest_task.receipt_id = safety_report.receipt_id WHERE ingest_task.hub = ? AND safety_report.anomaly_level > ?
GO

SELECT count(*) AS count_1 FROM safety_report JOIN ingest_task ON ingest_task.receipt_id = safety_report.receipt_id WHERE ingest_task.hub = ? AND safety_report.anomaly_score IS NULL
GO

SELECT count(*) AS count_1 FROM safety_report JOIN ingest_task ON ingest_task.receipt_id = safety_report.receipt_id WHERE safety_report.anomaly_level > ?
GO

SELECT count(*) AS count_1 FROM safety_report JOIN ingest_task ON ingest_task.receipt_id = safety_report.receipt_id WHERE safety_report.anomaly_score IS NULL
GO

SELECT count(*) AS count_1 FROM safety_report WHERE safety_report.stored_at < ? AND safety_report.pruned_at IS NULL AND (EXISTS (SELECT * FROM ingest_task WHERE ingest_task.receipt_id = safety_report.receipt_id AND ingest_task.folded_at IS NOT NULL))
GO

SELECT count(*) AS count_1 FROM spike
GO

SELECT count(*) AS count_1, coalesce(sum(ingest_task.stored + ingest_task.quarantined + ingest_task.duplicates), ?) AS coalesce_1, coalesce(sum(ingest_task.stored), ?) AS coalesce_3, coalesce(sum(ingest_task.quarantined), ?) AS coalesce_5, coalesce(sum(ingest_task.duplicates), ?) AS coalesce_7 FROM ingest_task WHERE ingest_task.receipt_id IN (SELECT [#stage_receipt].receipt_id FROM [#stage_receipt])
GO

SELECT drug.drug_id, drug.name FROM drug WHERE drug.drug_id IN (?)
GO

SELECT hub_position.next_sequence, hub_position.epoch FROM hub_position WHERE hub_position.hub = ? AND hub_position.generation = ? AND hub_position.partition_id = ?
GO

SELECT hub_position.partition_id FROM hub_position WHERE hub_position.hub = ? AND hub_position.generation = ?
GO

SELECT hub_position.partition_id, hub_position.next_sequence FROM hub_position WHERE hub_position.hub = ? AND hub_position.generation = ?
GO

SELECT ingest_task.generation, ingest_task.written_at, safety_report.sequence FROM ingest_task JOIN safety_report ON safety_report.receipt_id = ingest_task.receipt_id WHERE ingest_task.hub = ? AND ingest_task.partition_id = ? AND ingest_task.written_at >= ?
GO

SELECT max([#prune_message].at) AS max_1 FROM [#prune_message]
GO

SELECT max([#prune_refused].at) AS max_1 FROM [#prune_refused]
GO

SELECT max([#prune_report].at) AS max_1 FROM [#prune_report]
GO

SELECT max(hub_position.event_ms) AS max_1 FROM hub_position WHERE hub_position.hub = ?
GO

SELECT max(window_clock.width_ms) AS max_1 FROM window_clock
GO

SELECT max(window_total.window_start_ms) AS max_1 FROM window_total
GO

SELECT max(window_total.window_start_ms) AS max_1 FROM window_total WHERE window_total.width_ms = ?
GO

SELECT min(window_delta.event_ms) AS min_1 FROM window_delta WHERE window_delta.receipt_id IN (SELECT [#stage_receipt].receipt_id FROM [#stage_receipt])
GO

SELECT min(window_total.window_start_ms) AS min_1 FROM window_total WHERE window_total.width_ms = ? AND window_total.drug_id = ? AND window_total.reaction_id = ?
GO

SELECT quarantined_report.body FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.generation = ? AND quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) AND quarantined_report.state IN (?, …)
GO

SELECT quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, quarantined_report.changed_at FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.state = ? AND quarantined_report.changed_at >= ?
GO

SELECT quarantined_report.hub, quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, quarantined_report.state FROM quarantined_report WHERE quarantined_report.state IN (?) AND quarantined_report.hub IN (?) AND (quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) OR quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?) AND quarantined_report.generation = ?) AND quarantined_report.stored_at >= ? AND quarantined_report.stored_at < ? AND quarantined_report.reasons IN (?)
GO

SELECT quarantined_report.hub, quarantined_report.generation, quarantined_report.partition_id, quarantined_report.sequence, quarantined_report.state, quarantined_report.reasons, quarantined_report.path, quarantined_report.changed_at FROM quarantined_report WHERE quarantined_report.hub = ? AND quarantined_report.generation = ? AND quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?, …)
GO

SELECT quarantined_report.reasons, count(*) AS n FROM quarantined_report JOIN ingest_task ON ingest_task.receipt_id = quarantined_report.receipt_id WHERE ingest_task.hub = ? AND quarantined_report.state != ? GROUP BY quarantined_report.reasons
GO

SELECT quarantined_report.reasons, count(*) AS n FROM quarantined_report JOIN ingest_task ON ingest_task.receipt_id = quarantined_report.receipt_id WHERE quarantined_report.state != ? GROUP BY quarantined_report.reasons
GO

SELECT reaction.reaction_id, reaction.name FROM reaction WHERE reaction.reaction_id IN (?)
GO

SELECT reaction_window.window_start_ms, count(*) AS pairs FROM reaction_window WHERE reaction_window.width_ms = ? AND reaction_window.window_start_ms > ? AND reaction_window.window_start_ms <= ? AND reaction_window.cases > ? GROUP BY reaction_window.window_start_ms
GO

SELECT safety_report.case_key, min(safety_report.safetyreportid) AS safetyreportid, min(case_pair.event_ms) AS at FROM case_pair JOIN safety_report ON safety_report.case_key = case_pair.case_key WHERE case_pair.drug_id = ? AND case_pair.reaction_id = ? AND case_pair.event_ms >= ? AND case_pair.event_ms < ? GROUP BY safety_report.case_key ORDER BY at, safety_report.case_key
GO

SELECT safety_report.case_key, safety_report.safetyreportid, safety_report.version, safety_report.anomaly_score, safety_report.anomaly_reasons, safety_report.model_version, safety_report.event_ms FROM safety_report WHERE safety_report.anomaly_level = ? AND safety_report.receipt_id IN (?)
GO

SELECT safety_report.case_key, safety_report.safetyreportid, safety_report.version, safety_report.anomaly_score, safety_report.anomaly_reasons, safety_report.model_version, safety_report.event_ms FROM safety_report WHERE safety_report.anomaly_level = ? AND safety_report.receipt_id IN (?, …)
GO

SELECT silence.silence_id, silence.drug_id, silence.reaction_id, silence.until_ms, silence.who, silence.reason, silence.created_at FROM silence WHERE silence.until_ms > ?
GO

SELECT spike.window_start_ms, spike.drug_id, spike.reaction_id FROM spike WHERE spike.width_ms = ? AND spike.window_start_ms >= ? AND spike.window_start_ms < ?
GO

SELECT stream_lease.hub, stream_lease.epoch, stream_lease.holder, stream_lease.beat_ms FROM stream_lease WHERE stream_lease.hub = ?
GO

SELECT window_clock.closed_until_ms FROM window_clock WHERE window_clock.width_ms = ?
GO

SELECT window_clock.width_ms FROM window_clock ORDER BY window_clock.width_ms
GO

SET LOCK_TIMEOUT 15000
GO

SET LOCK_TIMEOUT 60000
GO

UPDATE [#stage_report] SET outcome=(SELECT CASE WHEN (safety_report.receipt_id = ? AND safety_report.sequence = [#stage_report].sequence) THEN ? WHEN (safety_report.digest = [#stage_report].digest) THEN ? ELSE ? END AS anon_1 FROM safety_report WHERE safety_report.case_key = [#stage_report].case_key AND safety_report.version = [#stage_report].version)
GO

UPDATE alert SET kind=?, status=?, drug_id=?, reaction_id=?, case_key=NULL, version=NULL, score=NULL, reasons=NULL, opened_at_ms=?, since_ms=?, last_alarm_end_ms=?, width_ms=?, window_start_ms=?, cases=?, expected=?, spread=?, z=?, p=?, widths=?, published_cases=?, revision=?, closed_at_ms=?, expectation=NULL, observed=NULL, windows=? WHERE alert.alert_id = ?
GO

UPDATE alert SET kind=?, status=?, drug_id=?, reaction_id=?, case_key=NULL, version=NULL, score=NULL, reasons=NULL, opened_at_ms=?, since_ms=?, last_alarm_end_ms=?, width_ms=?, window_start_ms=?, cases=?, expected=?, spread=?, z=?, p=?, widths=?, published_cases=?, revision=?, closed_at_ms=NULL, expectation=NULL, observed=NULL, windows=? WHERE alert.alert_id = ?
GO

UPDATE alert SET kind=?, status=?, drug_id=NULL, reaction_id=NULL, case_key=?, version=?, score=?, reasons=?, opened_at_ms=?, since_ms=?, last_alarm_end_ms=?, width_ms=?, window_start_ms=?, cases=?, expected=?, spread=?, z=?, p=?, widths=?, published_cases=?, revision=?, closed_at_ms=?, expectation=NULL, observed=NULL, windows=? WHERE alert.alert_id = ?
GO

UPDATE alert_outbox SET sent_at=? WHERE alert_outbox.outbox_id IN (?, …) AND alert_outbox.sent_at IS NULL
GO

UPDATE case_pair SET event_ms=s.event_ms, prev_ms=case_pair.event_ms, moved_by=s.moved_by FROM case_pair, (SELECT [#stage_report].case_key AS case_key, [#stage_pair].drug_id AS drug_id, [#stage_pair].reaction_id AS reaction_id, min([#stage_report].event_ms) AS event_ms, ? AS moved_by FROM [#stage_report] JOIN [#stage_pair] ON [#stage_pair].sequence = [#stage_report].sequence AND [#stage_report].outcome IN (?, …) WHERE [#stage_report].outcome IS NOT NULL GROUP BY [#stage_report].case_key, [#stage_pair].drug_id, [#stage_pair].reaction_id) AS s WHERE case_pair.case_key = s.case_key AND case_pair.drug_id = s.drug_id AND case_pair.reaction_id = s.reaction_id AND case_pair.event_ms > s.event_ms
GO

UPDATE hub_position SET epoch=? WHERE hub_position.hub = ?
GO

UPDATE hub_position SET event_ms=? WHERE hub_position.hub = ? AND hub_position.generation = ? AND hub_position.partition_id = ? AND (hub_position.event_ms IS NULL OR hub_position.event_ms < ?)
GO

UPDATE hub_position SET next_sequence=?, enqueued_ms=?, event_ms=CASE WHEN (coalesce(hub_position.event_ms, ?) > ?) THEN hub_position.event_ms ELSE ? END WHERE hub_position.hub = ? AND hub_position.generation = ? AND hub_position.partition_id = ? AND hub_position.epoch = ? AND hub_position.next_sequence = ?
GO

UPDATE hub_position SET next_sequence=?, enqueued_ms=?, event_ms=hub_position.event_ms WHERE hub_position.hub = ? AND hub_position.generation = ? AND hub_position.partition_id = ? AND hub_position.epoch = ? AND hub_position.next_sequence = ?
GO

UPDATE ingest_task SET folded_at=? WHERE ingest_task.receipt_id IN (SELECT [#stage_receipt].receipt_id FROM [#stage_receipt])
GO

UPDATE quarantined_report SET body=?, state=? WHERE (EXISTS (SELECT * FROM [#prune_refused] WHERE quarantined_report.hub = [#prune_refused].hub AND quarantined_report.generation = [#prune_refused].generation AND quarantined_report.partition_id = [#prune_refused].partition_id AND quarantined_report.sequence = [#prune_refused].sequence)) AND quarantined_report.state = ?
GO

UPDATE quarantined_report SET body=?, state=?, changed_at=? WHERE (EXISTS (SELECT * FROM [#replay_done] WHERE quarantined_report.hub = [#replay_done].hub AND quarantined_report.generation = [#replay_done].generation AND quarantined_report.partition_id = [#replay_done].partition_id AND quarantined_report.sequence = [#replay_done].sequence)) AND quarantined_report.state = ?
GO

UPDATE quarantined_report SET body=?, state=?, changed_at=?, changed_by=? WHERE quarantined_report.hub = ? AND quarantined_report.generation = ? AND quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?, …) AND quarantined_report.state = ?
GO

UPDATE quarantined_report SET reasons=(SELECT [#replay_kept].reasons FROM [#replay_kept] WHERE quarantined_report.hub = [#replay_kept].hub AND quarantined_report.generation = [#replay_kept].generation AND quarantined_report.partition_id = [#replay_kept].partition_id AND quarantined_report.sequence = [#replay_kept].sequence), path=(SELECT [#replay_kept].path FROM [#replay_kept] WHERE quarantined_report.hub = [#replay_kept].hub AND quarantined_report.generation = [#replay_kept].generation AND quarantined_report.partition_id = [#replay_kept].partition_id AND quarantined_report.sequence = [#replay_kept].sequence), suite_version=?, state=?, changed_at=? WHERE (EXISTS (SELECT * FROM [#replay_kept] WHERE quarantined_report.hub = [#replay_kept].hub AND quarantined_report.generation = [#replay_kept].generation AND quarantined_report.partition_id = [#replay_kept].partition_id AND quarantined_report.sequence = [#replay_kept].sequence)) AND quarantined_report.state = ?
GO

UPDATE quarantined_report SET state=?, changed_at=?, changed_by=? WHERE quarantined_report.hub = ? AND quarantined_report.generation = ? AND quarantined_report.partition_id = ? AND quarantined_report.sequence IN (?, …) AND quarantined_report.state = ?
GO

UPDATE reaction_window SET cases=(reaction_window.cases + s.cases) FROM reaction_window, (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, [#fold_delta].reaction_id AS reaction_id, [#fold_delta].cases AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ?) AS s WHERE reaction_window.width_ms = s.width_ms AND reaction_window.window_start_ms = s.window_start_ms AND reaction_window.drug_id = s.drug_id AND reaction_window.reaction_id = s.reaction_id
GO

UPDATE safety_report SET receivedate=NULL, receiptdate=NULL, transmissiondate=NULL, serious=NULL, seriousness=?, age_years=NULL, age_whole_years=NULL, sex=NULL, weight_kg=NULL, qualification=NULL, country=NULL, sender=NULL, company_number=NULL, anomaly_reasons=NULL, warnings=NULL, pruned_at=?, duplicate_number=NULL WHERE (EXISTS (SELECT * FROM [#prune_report] WHERE safety_report.receipt_id = [#prune_report].receipt_id AND safety_report.sequence = [#prune_report].sequence)) AND safety_report.pruned_at IS NULL
GO

UPDATE spike SET cases=?, expected=?, spread=?, z=?, p=?, rules=?, rules_version=?, windows=?, observed=?, pair_cases=?, pair_expected=?, prr=?, chi_squared=?, ror=?, ror_lower=?, ror_upper=?, ic=?, ic025=?, ic975=?, largest_sender_share=?, same_duplicate_number=?, serious_share=? WHERE spike.width_ms = ? AND spike.window_start_ms = ? AND spike.drug_id = ? AND spike.reaction_id = ?
GO

UPDATE stream_lease SET beat_ms=? WHERE stream_lease.hub = ? AND stream_lease.epoch = ?
GO

UPDATE stream_lease SET epoch=?, holder=?, beat_ms=? WHERE stream_lease.hub = ? AND stream_lease.epoch = ?
GO

UPDATE window_clock SET closed_until_ms=? WHERE window_clock.width_ms = ?
GO

UPDATE window_clock SET closed_until_ms=? WHERE window_clock.width_ms = ? AND window_clock.closed_until_ms < ?
GO

UPDATE window_total SET cases=(window_total.cases + s.cases) FROM window_total, (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, ? AS drug_id, ? AS reaction_id, sum([#fold_delta].cases) AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ? GROUP BY [#fold_delta].width_ms, [#fold_delta].window_start_ms) AS s WHERE window_total.width_ms = s.width_ms AND window_total.window_start_ms = s.window_start_ms AND window_total.drug_id = s.drug_id AND window_total.reaction_id = s.reaction_id
GO

UPDATE window_total SET cases=(window_total.cases + s.cases) FROM window_total, (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, ? AS drug_id, [#fold_delta].reaction_id AS reaction_id, sum([#fold_delta].cases) AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ? GROUP BY [#fold_delta].width_ms, [#fold_delta].window_start_ms, [#fold_delta].reaction_id) AS s WHERE window_total.width_ms = s.width_ms AND window_total.window_start_ms = s.window_start_ms AND window_total.drug_id = s.drug_id AND window_total.reaction_id = s.reaction_id
GO

UPDATE window_total SET cases=(window_total.cases + s.cases) FROM window_total, (SELECT [#fold_delta].width_ms AS width_ms, [#fold_delta].window_start_ms AS window_start_ms, [#fold_delta].drug_id AS drug_id, ? AS reaction_id, sum([#fold_delta].cases) AS cases FROM [#fold_delta] WHERE [#fold_delta].cases != ? GROUP BY [#fold_delta].width_ms, [#fold_delta].window_start_ms, [#fold_delta].drug_id) AS s WHERE window_total.width_ms = s.width_ms AND window_total.window_start_ms = s.window_start_ms AND window_total.drug_id = s.drug_id AND window_total.reaction_id = s.reaction_id
GO
