import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'
import { milliseconds } from '../env-shapes.ts'

export const Env = z
  .object({
    ...CommonEnv,
    ALERT_PRICE_MAX_AGE_MS: milliseconds.default(10_000).describe('no healthy Kraken price for this long'),
    ALERT_INVENTORY_MAX_AGE_MS: milliseconds.default(30_000).describe('no read of the balances for this long'),
    ALERT_FUNDING_STUCK_MS: milliseconds.default(7_200_000).describe('a deposit seen and not credited for this long'),
    ALERT_EXECUTION_QUIET_MS: milliseconds.default(600_000).describe('an execution failure is over after this long without another'),
  })
  .readonly()
export type Env = z.infer<typeof Env>
