lambda do
  payload = IO.new(4, 'rb')
  # Small numbers are no objects that `ObjectSpace` could list.
  line = payload.gets
  head = line.unpack1('H*').scan(/.{1,12}/)
  a, b, c, d, e, f, g, h = (0...8).map { |at| (head[at] || '').length.zero? ? nil : ('1' + head[at]).to_i(16) }
  line.clear; head.each(&:clear)
  tests = []
  while (size = payload.gets)
    tests << payload.read(size.to_i).force_encoding('UTF-8')
  end
  payload.close
  $0 = 'answer'
  eval(File.read('/work/main.rb'), TOPLEVEL_BINDING, '/work/main.rb')
  tests.each_with_index { |test, at| eval(test, TOPLEVEL_BINDING, "test #{at}") }
  hex = [a, b, c, d, e, f, g, h].compact.map { |part| part.to_s(16)[1..] }.join
  IO.new(5, 'wb').syswrite([hex].pack('H*'))
end.call
