import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '../../..')
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: root })]
const ROOMS = ['actors', 'bus', 'control', 'deploy', 'docs', 'machines', 'migrations', 'storage', 'test']
const names = new Set(ROOMS.flatMap((room) => globSync(`${room}/**/*`, { cwd: root }).map((file) => basename(file))))

const matches = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, found = '']) => found)

/** `lane.ts` is a file of some room; `actors/runtime/lane/lane.ts` is that one. */
const isThere = (file: string): boolean => (file.includes('/') ? existsSync(join(root, file)) : names.has(file))

test.each(pages)('%s names no file and follows no link that is not there', (page) => {
  const text = readFileSync(join(root, page), 'utf8')
  const files = matches(text, /`([\w-][\w./-]*\.(?:ts|cjs|sql))`/g)
  const links = matches(text, /\]\((?!https?:)([^)#]+)\)/g)
  expect(files.filter((file) => !isThere(file))).toEqual([])
  expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([])
})
