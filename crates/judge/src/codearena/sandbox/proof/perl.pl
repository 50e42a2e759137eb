open(my $payload, '<&=', 4) or die; binmode $payload;
my $proof = <$payload>;
my $text = do { open(my $file, '<', 'main.pl') or die $!; local $/; <$file> };
while (defined(my $size = <$payload>)) { read($payload, my $test, $size); $text .= "\n;$test"; }
close $payload;
my $last = join '', map { sprintf '%02x', ord } split //, do { open(my $random, '<:raw', '/dev/urandom') or die; read($random, my $bytes, 16); $bytes };
$text .= "\n;'$last'";
# A hook's file leaves no text for `caller` to show.
unshift @INC, sub { return if $_[1] ne 'answer'; shift @INC; open(my $file, '<', \$text); $file };
$0 = 'main.pl';
my $result = do 'answer';
if ($@) { print STDERR $@; exit 1 }
if (defined $result && $result eq $last) { open(my $out, '>&=', 5); syswrite $out, $proof }
