/* main.c - the program: one subcommand of cli.h. */
int main(void)
{
    return 0;
}
