"""Values, functions, interpolations, Hydra keys and flags to try: most are wrong, all are awkward."""

SIGNS = (
    "", "", "+", "++", "~",
)  # fmt: skip
NUMBERS = (
    "nan", "-nan", "inf", "-inf", "1e400", "-1e400", "-0", "-0.0", "1e-400", "0x10", "0b1", "0o7", "010", "1_000",
    "1__0", "9" * 25, "-" + "9" * 25, "1" * 5000, "1.", ".5", "1e", "1e+", "٣", "１", "½", "1,5", "+3", "--3", "1 2",
    "0.1.2",
)  # fmt: skip
VALUES = (
    *NUMBERS, "", "null", "Null", "~", "true", "True", "yes", "off", "''", '""', "' '", "[]", "{}", "[[]]", "[null]",
    "{a:1}", "[1,2]", "[1,[2]]", "{a:{b:c}}", "a b", "ä", "日本", "\u202eabc", "\x00", "a\nb", "a\rb", "\t", "\x1b[31m",
    "\ud800", "a" * 3000, "[" * 300, "{a:" * 300, "." * 50, "/", "..", "../..", "~root", "%s", "%(asctime)s",
    "{}{}", "$HOME", "$$", "#", "a=b", "=", "\\", "\\'", "'a", 'a"', "[1", "1]", "{", "}", "(", ")", ":", ",", "a,",
    ",a", "!!python/object:os.system", "&a", "*a",
)  # fmt: skip
SWEEPS = (
    "1,2", "range(3)", "range(0,10,0)", "range(5,1)", "range(1e9)", "range(nan)", "range()", "range(a)",
    "range(0,1,0.1)", "choice(1,2)", "choice()", "choice([1,2],3)", "interval(0,1)", "interval(1)", "glob(*)",
    "glob([*],exclude=a)", "glob()", "glob(1)", "sort(1,2)", "sort(range(3))", "shuffle(1,2,3)", "tag(a,1,2)",
    "tag()", "int(3.2)", "float(a)", "str(1)", "bool(7)", "cast(1)", "json_str(1)", "rang(3)", "range(3", "range 3",
    "choice(1,2))", "tag(log,interval(0,1))", "1,1", "null,null", ",", "range(0,-5,-1)", "choice(a,,b)",
    "extend_list(1)", "append(1)", "range(3,shuffle=1)", "range(stop=3,foo=2)", "int('a')",
)  # fmt: skip
INTERPOLATIONS = (
    "${epochs}", "${nope}", "${nope.deep}", "${model}", "${model.nope}", "${.epochs}", "${..epochs}", "${...}", "${",
    "${}", "$}", "}", "${${name}}", "${len:3}", "${len:}", "${len:${model}}", "${prod:a,b}", "${prod:}",
    "${run_name:}", "${run_name:3}", "${nope:1}", "${oc.env:NO_SUCH_VARIABLE}", "${oc.env:}", "${oc.decode:'['}",
    "${oc.select:nope}", "${oc.create:{a:1}}", "${oc.dict.keys:epochs}", "${now:%Y}", "${now:}", "${hydra:nope}",
    "${hydra:}", "${hydra:job.nope}", "${hydra.job.name}", "${options:nope}", "${options:}", "a${epochs}b",
    "[${epochs}]", "{a:${epochs}}", "${seed}", "${name}", "'${epochs}'", "\\${epochs}", "${oc.deprecated:x}",
)  # fmt: skip
HYDRAS = (
    "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.name", "hydra.job.num", "hydra.job.id",
    "hydra.job.chdir", "hydra.job.config_name", "hydra.job.env_set", "hydra.job.env_copy",
    "hydra.job.override_dirname", "hydra.mode", "hydra.verbose", "hydra.searchpath", "hydra.output_subdir",
    "hydra.launcher", "hydra.launcher.n_jobs", "hydra.launcher._target_", "hydra.launcher.backend",
    "hydra.launcher.max_lanes", "hydra.sweeper", "hydra.sweeper.params", "hydra.sweeper._target_", "hydra.callbacks",
    "hydra.help.template", "hydra.help", "hydra.runtime.output_dir", "hydra.runtime.choices", "hydra.job_logging",
    "hydra.hydra_logging", "hydra.overrides.task", "hydra.env", "hydra.dir", "hydra", "hydra.",
)  # fmt: skip
HYDRA_VALUES = (
    "", "null", "3", "-1", "0", "true", "[]", "{}", "nope", "..", "/dev/null/x", "/proc/nope", "a\0b", "x" * 300,
    "${name}", "${nope}", "RUN", "MULTIRUN", "run", "[nope]", "[pkg://nope]", "[pkg://dlhw]", "[file:///nope]",
    "[http://nope]", "{a:1}", "[a,b]", "os.nope", "str", "'a b'",
)  # fmt: skip
FLAGS = (
    ["--config-dir"], ["--config-dir", "nowhere"], ["--config-dir", ""], ["--config-dir", "notes.txt"],
    ["--config-dir=."], ["-cd", "nope"], ["--config-name", "nope"], ["--config-name", ""],
    ["--config-name=config", "epochs=0"], ["-cn", "model/fc"], ["--config-path", "nope"], ["--config-path", "/nope"],
    ["-cp", "pkg://nope"], ["--config-name", "../x"], ["--cfg"], ["--cfg", "jobb"], ["--cfg", ""], ["--cfg=all="],
    ["--info"], ["--info", "nope"], ["--info=nope"], ["--package"], ["--package", "nope"],
    ["--cfg", "job", "--package", "nope"], ["--cfg", "job", "--package", "model.nope"],
    ["--cfg", "job", "--package", ""], ["--cfg", "job", "-p", "model..x"], ["--cfg", "hydra", "--package", "model"],
    ["--resolve"], ["--cfg", "job", "--resolve", "epochs=${nope}"], ["--cfg", "job", "-m"],
    ["--cfg", "job", "--info"], ["--help", "--hydra-help"], ["--hepl"], ["-x"], ["-"], ["--"], ["--", "epochs=2"],
    ["---"], ["-mm"], ["--multirun=3"], ["--run"], ["--run", "-m"], ["-r", "epochs=0"],
    ["--experimental-rerun", "nope"], ["--experimental-rerun", "notes.txt"], ["--experimental-rerun"],
    ["--shell-completion"], ["-sc", "nope"], ["-sc", "install=nope"], ["-sc", "install=bash", "uninstall=bash"],
    ["--version", "x"], ["--c", "job"], ["--conf", "job"], ["--help=3"], ["-h", "epohcs=3"], ["--help", "model=fcc"],
    ["--epochs=2"], ["--epochs", "2"], ["epochs", "2"], ["-m"], ["-m", "-m"], ["--cfg", "job", "epohcs=2"],
    ["--cfg", "job", "+epohcs=2"], ["--cfg", "job", "epochs=0"], ["--info", "config", "+epohcs=2"],
    ["--info", "plugins"], ["--info", "defaults", "model=fcc"], ["--cfg", "job", "-m", "seed=1,2"],
    ["--cfg", "job", "model._target_=nowhere.Net"],
)  # fmt: skip
TARGETS = (
    "", ".", "..", "a..b", ".Net", "Net", "nowhere.Net", "torch.nn", "torch.nn.Linaer", "torch.nn.Linear", "3",
    "null", "[a]", "{a:1}", "builtins.int", "math.pi", "json.dumps", "dlhw.model.fc.FCC", "dlhw.model.fc.Fc",
    "torch.nn.Linear ", "torch/nn", "torch.nn.Linear.forward", "torch.optim.Adam", "dlhw.model", "a b.c", "é.è",
    "types.SimpleNamespace",
)  # fmt: skip
DIRT = (
    "'", '"', "[", "]", "{", "}", "(", ")", "=", ",", ":", "\\", "$", "${", "@", "~", "+", " ", "\t", "\n", "é",
    "\x00", "\x7f", "\u200b", "/", ".", "*", "|", "#", "%", "-", "日", "\ud83d", "\x1b[2J",
)  # fmt: skip
OF_STUDIES = (
    "study.only=[nope]", "study.only=nope", "study.only=[]", "study.only=[3]", "study.seeds=0", "study.seeds=x",
    "study.limit=-1", "study.limit=1.5", "study.onyl=[x]", "+study.onyl=[x]", "++study.tabels=1", "seed=1,2",
    "study.tables=3", "~study.tables", "seeds=0", "seeds=1e9", "study.seeds=2 seeds=x", "study.name=a/b",
    "dry_run=maybe", "on_error=stopp", "study.claims=[{}]", "study.tables={}", "epochs=0", "epohcs=3",
    "+model.nope=2", "resume=x", "study.base=[x]",
)  # fmt: skip
OF_MANY_RUNS = (
    "seeds=0", "seeds=-1", "seeds=two", "seeds=", "seeds=2.5", "seeds=[1]", "seeds=1,2", "seeds=nan",
    "seeds=" + "9" * 30, "on_error=x", "rerun=maybe", "dry_run=2.5", "+seeds=x", "++seeds=0", "seed=a,b",
    "seed=1,1.5", "rerun=true,false",
)  # fmt: skip
OF_EVAL = (
    "rnu=run", "run", "=", "=run", "run=", "run=nowhere", "run=run/", "run=.", "run=run split=tset",
    "run=run images=[a.png", "run=run images=3", "run=run images=[]", "run=run images={a:1}", "run=run images=null",
    "run=run images=[nope.png]", "run=run checkpoint=bets", "run=run device=gpu", "run=run split=null",
    "run=run split=[test]", "run=run device=3", "run=run data_dir=[a]", "run=run data_dir=3", "run=run run=nowhere",
    "--run=run", "run=[run]", "run=${split}", "run=${nope}", "run=run split=${split}", "run=run run.x=3", "run=null",
    "run=~", "--hlep", "run=run --", "+run=run", "run=run images=[[a]]", "run=run images=[null]", "run=\x1b[2J",
    "run=a\nb", "run=" + "x" * 5000, "run=run images=*a", "run=run images=!!python/object:a.b", "run=run images=\x00",
    "run==", "run=run split==",
)  # fmt: skip
OF_RESUME = (
    "resume=nowhere", "resume=", "resume=run epochs=x", "resume=run epochs=", "resume=run epochs=1.5",
    "resume=run epochs=1", "resume=run epochs=9 seed=1", "resume=run +nope=1", "resume=run epohcs=3", "resume=[run]",
    "resume=3", "resume=null", "resume=run resume=x", "-m resume=run", "resume=run,run", "~resume",
    "resume=run seeds=2", "resume=run study=xor", "resume=run/", "resume=./run/../run", "resume=run epochs=1e3",
    "resume=run epochs=" + "9" * 30, "resume=run ++epochs=5", "resume=run model=fc", "resume=run ~epochs",
    "resume='run'", "resume='run' epochs='5'", "resume=run epochs=${seed}", "resume=${name}", "resume=${nope}",
    "resume=\x00", "resume=run hydra.run.dir=x", "resume=run --config-dir nope", "resume=run epochs=5 epochs=4",
    "+resume=run", "++resume=run", "resume=run dry_run=true",
)  # fmt: skip
OF_REPORT = (
    "", "nowhere", "notes.txt", "--out", "--out x", "run --out run", "run --out notes.txt/x", "--diff", "--diff run",
    "--diff run nowhere", "--diff run notes.txt", "--diff run run run", "--diff run run --out x", "--hlep",
    "--diff=run", "-x", "run --o", "\x1b[2J", "--out= run", "x" * 5000, "run run", "--", "-- -x",
    "--out x --out y run", "sweep", "sweep nowhere", "../here", "ä", "\udcff",
)  # fmt: skip
HYDRA_GROUPS = ("hydra/launcher", "hydra/sweeper", "hydra/job_logging", "hydra/help", "hydra/output")
ODD_OPTIONS = (
    "kind/image", "../config", "/fc", "fc.yaml", "fc,lenet5", "[fc]", "[fc,lenet5]", "fc@model", "FC", "fc ", "null,fc",
)  # fmt: skip
PACKAGES = (
    "", "", "@", "@model", "@nope", "@_global_", "@_here_", "@a.b.c", "@:", "@model:nope", "@hydra", "@@", "@ ä",
)  # fmt: skip
