/** `npm run docs`: writes docs/CONFIG.md, docs/TOPICS.md and docs/METRICS.md from the code; with `--check` only compares. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readConfigs } from './configs.ts'
import { SERVICES } from '#machines/contracts/services.ts'
import { configPage } from './config-page.ts'
import { metricsPage } from './metrics-page.ts'
import { topicsPage } from './topics-page.ts'

const root = join(import.meta.dirname, '../..')

/** Every generated page by its path from the root. @throws {Error} a config.ts that cannot be read, by its path */
export const pages = async (): Promise<ReadonlyMap<string, string>> =>
  new Map([
    ['docs/CONFIG.md', configPage(await readConfigs(root, SERVICES))],
    ['docs/TOPICS.md', topicsPage()],
    ['docs/METRICS.md', metricsPage()],
  ])

/** Those whose committed text is another one, or none. */
export const stalePages = async (): Promise<string[]> => {
  const compared = await Promise.all(
    [...(await pages())].map(async ([path, text]) => ((await readFile(join(root, path), 'utf8').catch(() => null)) === text ? [] : [path])),
  )
  return compared.flat()
}

if (import.meta.main) {
  const stale = await stalePages()
  if (process.argv.includes('--check')) {
    if (stale.length > 0) process.stderr.write(`stale: ${stale.join(', ')}; npm run docs writes them\n`)
    process.exitCode = stale.length === 0 ? 0 : 1
  } else {
    const written = await pages()
    for (const path of stale) await writeFile(join(root, path), written.get(path) ?? '')
    process.stdout.write(stale.length === 0 ? 'docs are as the code says\n' : `wrote ${stale.join(', ')}\n`)
  }
}
