using Megaphone.Load;

const string Usage = """
    usage: Megaphone.Load COMMAND --name value …
      idle        --to ADDRESS:PORT --connections N [--say BYTES]
                  opens connections and holds them; with --say each sends so much first and waits for its echo
      pingpong    --to ADDRESS:PORT --connections N [--bytes 200] [--seconds 5] [--warmup 1] [--rate MESSAGES/S]
                  [--watch PID,PID]
                  each client waits for its echo before it says more; with --rate messages leave at fixed times
      echo-server --listen ADDRESS:PORT
      link        --to ADDRESS:PORT [--sessions 1000] [--bytes 64] [--seconds 5] [--warmup 1] [--watch PID,PID]
                  plays an ECM that knows packets only, in front of an echo; --bytes counts the packet's header too
      raw-echo    --listen ADDRESS:PORT [--congestion NAME]
                  sends back what comes and looks at nothing; "link" works against it as well
    Those that hold or listen say READY, and end when their standard input does. Figures are one line of JSON.
    """;

if (args.Length == 0)
{
    Console.Error.WriteLine(Usage);
    return 2;
}

try
{
    Arguments arguments = new(args.AsSpan(1));
    switch (args[0])
    {
        case "idle": IdleCommand.Run(arguments); return 0;
        case "pingpong": PingPongCommand.Run(arguments); return 0;
        case "echo-server": EchoServer.Run(arguments); return 0;
        case "link": LinkCommand.Run(arguments); return 0;
        case "raw-echo": RawEcho.Run(arguments); return 0;
        default: throw new FormatException($"unknown command {args[0]}");
    }
}
catch (FormatException wrong)
{
    Console.Error.WriteLine($"{wrong.Message}\n{Usage}");
    return 2;
}
catch (IOException failure)
{
    Console.Error.WriteLine(failure.Message);
    return 1;
}
