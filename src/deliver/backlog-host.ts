/** What the endpoint tells its backlog. */
export interface BacklogHost {
  /** how many requests may be under way; 0: not now */
  allowed(): number;
  /** when that can change by itself; null: it cannot */
  allowedAt(): number | null;
  /** nothing but a probe is allowed: it should not be the same bad delivery every time */
  probing(): boolean;
  /** lanes with something direct under way, which parked ones must not overtake */
  busyLanes(): readonly string[];
  /** what waits collapses into its net effect */
  conflates(): boolean;
  /** something waits that what yields must not go before */
  busy(): boolean;
  /** of so many deliveries the lanes are remembered one by one; beyond, all lanes count as parked */
  lanesLimit(): number;
  /** something is due: take it with `next` */
  onDue(): void;
  onParked(count: number): void;
  onDead(count: number): void;
  onCollapsed(count: number): void;
  onStoreFault(reason: string): void;
}
