def check():
    import builtins, posix
    with open(4, 'rb') as file:
        secret = [file.readline()]
        count = int(secret[0].split()[1])
        tests = [file.read(int(file.readline())) for _ in range(count)]
    del file
    path = '/work/FILE'
    answer = type(sys)('answer')
    answer.__file__ = path
    sys.modules['answer'] = answer
    names = vars(answer)
    untouched = dict(vars(builtins))
    execute, write = exec, posix.write

    def read(text, name):
        return compile(text, name, 'exec', dont_inherit=True)

    try:
        codes = tuple(read(test, '<test %d>' % at) for at, test in enumerate(tests))
    except SyntaxError:
        codes = (read(b'\n'.join(tests), '<tests>'),)

    def run(_):
        del _
        with open(path, 'rb') as file:
            code = read(file.read(), path)
        execute(code, names)
        names['__builtins__'] = untouched
        for code in codes:
            execute(code, names)

    # While a list is sorted it is empty to everybody: what it holds is in no object and no frame that a program can look into.
    secret.sort(key=run)
    write(5, secret[0])


check()
