import { makeWorkerUtils } from 'graphile-worker';
import type { BenchDatabase } from '../stage.js';

/** From now on each new message is a job of graphile-worker's. */
export async function withJobs(database: BenchDatabase): Promise<void> {
  const utils = await makeWorkerUtils({ connectionString: database.url });
  await utils.migrate();
  await utils.release();
  await database.client.query(`
    CREATE FUNCTION bench_job() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM graphile_worker.add_job('webhook', row_to_json(NEW)); RETURN NEW; END $$;
    CREATE TRIGGER bench_job AFTER INSERT ON slackchat_message FOR EACH ROW EXECUTE FUNCTION bench_job()`);
}
