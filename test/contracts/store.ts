import { afterAll, afterEach, beforeAll, beforeEach, describe } from 'vitest'
import { commitContract } from './store-commits.ts'
import { GivenStore } from './store-given.ts'
import type { StoreUnderTest } from './store-given.ts'
import { letterContract } from './store-letters.ts'
import { timerAndOrderContract } from './store-orders.ts'
import { ownershipContract } from './store-ownership.ts'

/** What every store owes the runtime; run on the twin and on PostgreSQL. */
export const storeContract = (name: string, begin: () => Promise<StoreUnderTest>): unknown =>
  describe(`the store contract on ${name}`, () => {
    let under: StoreUnderTest
    const given = new GivenStore()

    beforeAll(async () => {
      under = await begin()
    })
    afterAll(() => under.close())
    beforeEach(() => given.begin(under))
    afterEach(() => given.end())

    ownershipContract(given)
    commitContract(given)
    timerAndOrderContract(given)
    letterContract(given)
  })
