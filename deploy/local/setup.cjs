'use strict'
/*
 * First use: npm packages, the Kafka jars, the broker's class archive. Runs before `npm start`, `npm test` and `npm run check`.
 *
 * Plain CommonJS on built-ins only, because it runs on whatever Node 20 or newer the machine has, before anything is installed;
 * the script that npm runs next finds Node 26 in node_modules/.bin, which npm puts first on PATH.
 *
 * S1. All in place: nothing printed, no process started, well below 100 ms.
 * S2. A stamp is written last, so that a set-up that was cut off is done again.
 * S3. Two set-ups at once: the second waits for the first (a directory is the lock; one whose owner is dead is broken).
 * S4. What is missing is one line that says how to mend it, and exit 1. Everything goes to stderr.
 *
 * `--no-broker` leaves the jars out (`npm run check` needs none, nor does `npm start` with KAFKA_BROKERS).
 * `--write-hashes` writes libs.sha256 from the jars just fetched, after a deliberate change of pom.xml.
 */
const { spawn, spawnSync } = require('node:child_process')
const crypto = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(__dirname, '../..')
const inRoot = (...parts) => path.join(root, ...parts)
const lockFile = inRoot('package-lock.json')
const packagesStamp = inRoot('node_modules/.stamp')
const pom = inRoot('deploy/local/kafka/pom.xml')
const libs = inRoot('deploy/local/kafka/libs')
const jarsStamp = path.join(libs, '.stamp')
const hashes = inRoot('deploy/local/kafka/libs.sha256')
const archive = inRoot('deploy/local/kafka/kafka.jsa')
const archiveTried = path.join(libs, '.archive-tried')
const cache = inRoot('.cache')
const pinnedNode = inRoot('node_modules/.bin/node')

const writeHashes = process.argv.includes('--write-hashes')
const wantsBroker =
  !process.argv.includes('--no-broker') && !(process.env.npm_lifecycle_event === 'prestart' && (process.env.KAFKA_BROKERS ?? '') !== '')

/** What is missing and how to mend it: one line for a person. */
class Missing extends Error {}

const say = (line) => process.stderr.write(`setup: ${line}\n`)
const exists = (file) => fs.existsSync(file)
const same = (a, b) => {
  try {
    return fs.readFileSync(a).equals(fs.readFileSync(b))
  } catch {
    return false // one of them is not there yet
  }
}

/** PATH without node_modules/.bin: `npm ci` deletes the Node in there while it runs. */
const systemPath = (process.env.PATH ?? '')
  .split(path.delimiter)
  .filter((entry) => !entry.endsWith(path.join('node_modules', '.bin')))
  .join(path.delimiter)

const onPath = (name) => systemPath.split(path.delimiter).some((dir) => dir !== '' && exists(path.join(dir, name)))

const javaHome = process.env.JAVA_HOME ?? ''
const java = javaHome !== '' && exists(path.join(javaHome, 'bin/java')) ? path.join(javaHome, 'bin/java') : 'java'

const installJava =
  'install Java 17 or newer (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17), or set KAFKA_BROKERS to a broker of your own'
const installMaven = 'install it (Debian, Ubuntu: apt-get install maven; macOS: brew install maven)'

/** npm's own record of what it installed agrees with the lock file; true also after an `npm ci` or `npm install` by hand. */
const packagesInstalled = () => {
  let locked, installed
  try {
    locked = JSON.parse(fs.readFileSync(lockFile, 'utf8')).packages
    installed = JSON.parse(fs.readFileSync(inRoot('node_modules/.package-lock.json'), 'utf8')).packages
  } catch {
    return false
  }
  return Object.entries(locked).every(([name, wanted]) => {
    if (name === '' || wanted.link === true) return true
    const found = installed[name]
    if (found === undefined) return wanted.optional === true || wanted.devOptional === true
    return found.version === wanted.version && found.integrity === wanted.integrity && exists(inRoot(name))
  })
}

/** The lock file was made for these dependencies. */
const lockFitsPackage = () => {
  const wanted = JSON.parse(fs.readFileSync(inRoot('package.json'), 'utf8'))
  const locked = JSON.parse(fs.readFileSync(lockFile, 'utf8')).packages['']
  const kinds = ['dependencies', 'devDependencies', 'optionalDependencies']
  const sorted = (deps = {}) => JSON.stringify(Object.entries(deps).sort())
  return kinds.every((kind) => sorted(wanted[kind]) === sorted(locked[kind]))
}

const packagesReady = () => exists(pinnedNode) && same(lockFile, packagesStamp)
const jarsReady = () => same(pom, jarsStamp) && !writeHashes
const archiveReady = () => exists(archive) || exists(archiveTried)
const allReady = () => packagesReady() && (!wantsBroker || (jarsReady() && archiveReady()))

/** Runs a command quietly; its output goes to a file in .cache, whose last lines are for the error. */
const run = (name, command, args, options = {}) =>
  new Promise((resolve, reject) => {
    fs.mkdirSync(cache, { recursive: true })
    const logFile = path.join(cache, `setup-${name}.log`)
    const log = fs.openSync(logFile, 'w')
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', log, log], ...options })
    running.add(child)
    const done = (error, code) => {
      running.delete(child)
      fs.closeSync(log)
      if (error === null && code === 0) return resolve()
      const output = fs.readFileSync(logFile, 'utf8')
      reject(
        Object.assign(new Error(`${command} ended with ${error === null ? code : error.message}`), {
          output,
          logFile: path.relative(root, logFile),
        }),
      )
    }
    child.once('error', (error) => done(error, null))
    child.once('exit', (code, signal) => done(null, code ?? signal))
  })
const running = new Set()

const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`
/** The line of a tool's output that tells most; tools print pages when the network is away. */
const telling = (output, patterns) => {
  // eslint-disable-next-line no-control-regex -- colours, which Maven's JVM prints whatever it is told
  const plain = output.replaceAll(/\u001b\[[0-9;]*m/g, '')
  const lines = plain.split('\n').map((line) => line.trim())
  for (const pattern of patterns) {
    const found = lines.find((line) => pattern.test(line))
    if (found !== undefined) return found.replace(/^(npm (error|ERR!)|\[ERROR\])\s*/, '').slice(0, 240)
  }
  return lines.findLast((line) => line !== '')?.slice(0, 240) ?? 'it printed nothing'
}

const installPackages = async () => {
  if (exists(pinnedNode) && packagesInstalled()) return fs.copyFileSync(lockFile, packagesStamp)
  if (!onPath('npm')) throw new Missing('npm is not on PATH: install Node 20 or newer with its npm')
  if (!lockFitsPackage()) throw new Missing('package-lock.json does not fit package.json: run `npm install` and commit both')
  say('installing the npm packages that package-lock.json names ...')
  const started = Date.now()
  // Not `npm ci`: it refuses a lock file without an entry for every optional platform package, also those that the registry does
  // not have (npm 11.19: "Missing: @oxlint/binding-win32-x64-msvc@ from lock file"). This installs what the lock file says, checks
  // the same hashes and changes neither file; what `npm ci` checks beyond that is checked here, before and after.
  const args = ['install', '--no-save', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']
  try {
    await run('npm', 'npm', args, { env: { ...process.env, PATH: systemPath } })
  } catch (error) {
    const why = telling(error.output ?? error.message, [
      /network|registry|ENOTFOUND|ETIMEDOUT|ECONN|404/i,
      /code E[A-Z]+/,
      /^npm (error|ERR!)/,
    ])
    throw new Missing(
      `the npm packages could not be installed (${why}): check the network, or npm's registry and proxy settings, and run this again; all of npm's output is in ${error.logFile}`,
    )
  }
  if (!exists(pinnedNode)) {
    throw new Missing(
      `no Node 26 for ${process.platform}-${process.arch} among the packages: Linux on x64 or arm64 and macOS on arm64 have one`,
    )
  }
  if (!packagesInstalled()) throw new Missing('node_modules is not what package-lock.json says: remove node_modules and run this again')
  fs.copyFileSync(lockFile, packagesStamp)
  say(`npm packages installed (${seconds(started)})`)
}

const checkJava = () => {
  const answer = spawnSync(java, ['-version'], { encoding: 'utf8' })
  if (answer.error !== undefined || answer.status !== 0)
    throw new Missing(`Java is missing and the local Kafka broker needs it: ${installJava}`)
  const version = /version "(?:1\.)?(\d+)/.exec(`${answer.stderr}${answer.stdout}`)?.[1]
  if (version !== undefined && Number(version) < 17) throw new Missing(`Java ${version} is too old for Kafka 4: ${installJava}`)
}

const hashesOf = (dir) =>
  fs
    .readdirSync(dir)
    .filter((name) => name.endsWith('.jar'))
    .sort()
    .map(
      (name) =>
        `${crypto
          .createHash('sha256')
          .update(fs.readFileSync(path.join(dir, name)))
          .digest('hex')}  ${name}`,
    )

const fetchJars = async () => {
  if (!onPath('mvn')) throw new Missing(`Maven (mvn) is missing and fetches the Kafka broker: ${installMaven}`)
  say('fetching the Kafka broker from Maven Central (45 jars, 43 MB) ...')
  const started = Date.now()
  fs.rmSync(libs, { recursive: true, force: true })
  fs.rmSync(archive, { force: true })
  // -C: a wrong checksum is an error, by default it is only a warning. Those come from the same server; libs.sha256 does not.
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
  const args = ['-B', '-ntp', '-q', '-C', '-Dstyle.color=never', '-f', pom, goal, '-DincludeScope=runtime', `-DoutputDirectory=${libs}`]
  try {
    await run('maven', 'mvn', args)
  } catch (error) {
    const why = telling(error.output ?? error.message, [/Unknown host|Connection|transfer|timed out|Checksum/i, /\[ERROR\]/])
    throw new Missing(
      `the Kafka broker could not be fetched (${why}): check the network, or the mirror and proxy in ~/.m2/settings.xml, and run this again; all of Maven's output is in ${error.logFile}`,
    )
  }
  const found = hashesOf(libs)
  if (writeHashes) fs.writeFileSync(hashes, `${found.join('\n')}\n`)
  const wanted = fs.readFileSync(hashes, 'utf8').trim().split('\n')
  const wrong = [...wanted.filter((line) => !found.includes(line)), ...found.filter((line) => !wanted.includes(line))]
  if (wrong.length > 0) {
    const names = [...new Set(wrong.map((line) => line.slice(66)))].join(', ')
    throw new Missing(
      `not the jars that deploy/local/kafka/libs.sha256 lists: ${names}. Something between here and Maven Central changes them: try another mirror`,
    )
  }
  fs.copyFileSync(pom, jarsStamp)
  say(`Kafka broker fetched and its hashes compared (${seconds(started)})`)
}

/** Class data archive of the broker's JVM: its start takes 1.2 instead of 2.4 s. A JVM that cannot make one starts without. */
const buildArchive = async () => {
  say("preparing the broker's class archive (once) ...")
  const started = Date.now()
  try {
    await run('archive', pinnedNode, [inRoot('deploy/local/kafka/archive.ts'), archive])
    say(`class archive ready (${seconds(started)})`)
  } catch (error) {
    fs.writeFileSync(archiveTried, '')
    say(`no class archive, the broker will start a second slower (${telling(error.output ?? error.message, [])})`)
  }
}

const isAlive = (pid) => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

/** Holds .cache/setup.lock while `work` runs. */
const withLock = async (work) => {
  const lock = path.join(cache, 'setup.lock')
  const owner = path.join(lock, 'pid')
  fs.mkdirSync(cache, { recursive: true })
  for (let tries = 0; ; tries++) {
    try {
      fs.mkdirSync(lock)
      break
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    let pid
    try {
      pid = Number(fs.readFileSync(owner, 'utf8'))
    } catch {
      pid = undefined // made a moment ago, its pid not yet written; or its owner died in between
    }
    if (pid === undefined ? tries > 20 : !isAlive(pid)) {
      fs.rmSync(lock, { recursive: true, force: true })
      continue
    }
    if (tries === 3) say(`waiting for another set-up${pid === undefined ? '' : ` (pid ${pid})`} ...`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  fs.writeFileSync(owner, String(process.pid))
  const release = () => fs.rmSync(lock, { recursive: true, force: true })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      for (const child of running) child.kill('SIGTERM')
      release()
      process.exit(1)
    })
  }
  try {
    await work()
  } finally {
    release()
  }
}

const setUp = async () => {
  if (Number(process.versions.node.split('.')[0]) < 20)
    throw new Missing(`Node ${process.versions.node} is too old: install Node 20 or newer`)
  if (wantsBroker && java === 'java' && !onPath('java'))
    throw new Missing(`Java is missing and the local Kafka broker needs it: ${installJava}`)
  if (allReady()) return
  await withLock(async () => {
    const jobs = []
    if (wantsBroker && !jarsReady()) {
      checkJava()
      jobs.push(fetchJars())
    }
    if (!packagesReady()) jobs.push(installPackages())
    // Both are waited for also when one fails: nothing goes on writing after the message.
    const failed = (await Promise.allSettled(jobs)).find((job) => job.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    if (wantsBroker && !archiveReady()) await buildArchive()
  })
}

setUp().catch((error) => {
  say(error instanceof Missing ? error.message : (error.stack ?? String(error)))
  process.exitCode = 1
})
