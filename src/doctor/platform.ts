import { quoteIdent } from '../mapping.js';

/** Who runs the server: it decides how a setting is changed and how replication is granted. */
export type Platform = 'Amazon RDS' | 'Amazon Aurora' | 'Google Cloud SQL' | 'Azure Database' | 'Supabase' | 'Neon' | 'CloudNativePG' | 'self-managed';

/** What tells them apart, as far as any role may see it. */
export interface Marks {
  readonly roles: readonly string[];
  /** names of custom settings that have a value */
  readonly settings: readonly string[];
  readonly aurora: boolean;
}

/** Settings and roles that only these services have. */
export const MARKING_SETTINGS = ['rds.logical_replication', 'cloudsql.logical_decoding', 'azure.extensions', 'neon.timeline_id', 'cnpg.config_sha256'] as const;
export const MARKING_ROLES = ['rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin', 'supabase_admin', 'neon_superuser'] as const;

export function platformOf(marks: Marks): Platform {
  const has = (name: string, role: string | null): boolean => marks.settings.includes(name) || (role !== null && marks.roles.includes(role));
  if (marks.aurora) return 'Amazon Aurora';
  if (has('rds.logical_replication', 'rds_superuser')) return 'Amazon RDS';
  if (has('cloudsql.logical_decoding', 'cloudsqlsuperuser')) return 'Google Cloud SQL';
  if (has('azure.extensions', 'azure_pg_admin')) return 'Azure Database';
  if (marks.roles.includes('supabase_admin')) return 'Supabase';
  if (has('neon.timeline_id', 'neon_superuser')) return 'Neon';
  return has('cnpg.config_sha256', null) ? 'CloudNativePG' : 'self-managed';
}

/** How wal_level becomes logical. */
export function logicalWal(platform: Platform): string {
  switch (platform) {
    case 'Amazon RDS':
      return 'in the instance\'s parameter group set rds.logical_replication = 1, then reboot the instance';
    case 'Amazon Aurora':
      return 'in the DB cluster parameter group set rds.logical_replication = 1, then reboot the writer';
    case 'Google Cloud SQL':
      return 'set the instance\'s flag cloudsql.logical_decoding = on (the instance restarts)';
    case 'Azure Database':
      return 'set the server parameter wal_level = logical, then restart the server';
    case 'Neon':
      return 'enable logical replication in the project\'s settings (computes restart; it cannot be turned off again)';
    case 'CloudNativePG':
      return 'in the Cluster set spec.postgresql.parameters.wal_level: "logical" (the operator restarts the instances)';
    case 'Supabase':
      return setting(platform, 'wal_level', 'logical', true);
    case 'self-managed':
    default:
      return 'ALTER SYSTEM SET wal_level = \'logical\';  -- then restart the server';
  }
}

/**
 * How another setting of the server is changed.
 * @param restart it counts only after the server was restarted
 */
export function setting(platform: Platform, name: string, value: string, restart: boolean): string {
  const then = restart ? ', then restart' : '';
  switch (platform) {
    case 'Amazon RDS':
      return `in the instance's parameter group set ${name} = ${value}${then}`;
    case 'Amazon Aurora':
      return `in the DB cluster parameter group set ${name} = ${value}${then}`;
    case 'Google Cloud SQL':
      return `set the instance's flag ${name} = ${value}`;
    case 'Azure Database':
      return `set the server parameter ${name} = ${value}${then}`;
    case 'Supabase':
      return `supabase --experimental postgres-config update --config ${name}=${value}`;
    case 'Neon':
      return `Neon sets ${name}; ask its support for ${value}`;
    case 'CloudNativePG':
      return `in the Cluster set spec.postgresql.parameters.${name}: "${value}"`;
    case 'self-managed':
    default:
      return `ALTER SYSTEM SET ${name} = '${value}';  -- then ${restart ? 'restart the server' : 'SELECT pg_reload_conf();'}`;
  }
}

/** How a role becomes allowed to replicate. */
export function replicationGrant(platform: Platform, role: string): string {
  const name = quoteIdent(role);
  switch (platform) {
    case 'Amazon RDS':
    case 'Amazon Aurora':
      return `GRANT rds_replication TO ${name};  -- as the instance's master user`;
    case 'CloudNativePG':
      return `in the Cluster's spec.managed.roles give the role ${role}: replication: true`;
    case 'Google Cloud SQL':
      return `ALTER USER ${name} WITH REPLICATION;  -- as a user that has cloudsqlsuperuser`;
    case 'Azure Database':
      return `ALTER ROLE ${name} WITH REPLICATION;  -- as the server's administrator`;
    case 'Neon':
      return 'use a role that was made in the Neon console, by its CLI or its API: those may replicate';
    case 'Supabase':
    case 'self-managed':
    default:
      return `ALTER ROLE ${name} REPLICATION;  -- as ${platform === 'Supabase' ? 'postgres' : 'a superuser'}`;
  }
}
