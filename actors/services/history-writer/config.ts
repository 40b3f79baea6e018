import { z } from 'zod'
import { CommonEnv } from '#actors/runtime/service-env.ts'

export const Env = z.object({ ...CommonEnv }).readonly()
export type Env = z.infer<typeof Env>
