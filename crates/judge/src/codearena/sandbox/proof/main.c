#include <stdio.h>
#include <unistd.h>
extern int checked_main(int, char **, char **);
static char proof[80];
static long size;
static void take(void) {
    size = read(4, proof, sizeof proof);
    close(4);
}
/* Before every constructor of the program. */
__attribute__((section(".preinit_array"), used)) static void (*first)(void) = take;
int main(int count, char **arguments, char **environment) {
    int code = checked_main(count, arguments, environment);
    fflush(0);
    if (code == 0 && size > 0 && write(5, proof, size) != size) return 1;
    return code;
}
