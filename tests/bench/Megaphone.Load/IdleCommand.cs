using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using Megaphone.Interop;

namespace Megaphone.Load;

/// <summary>Opens connections and holds them until standard input ends.</summary>
internal static unsafe class IdleCommand
{
    /// <summary>As many as a small listen backlog holds may be under way.</summary>
    private const int AtATime = 100;

    /// <summary>Runs the command.</summary>
    /// <exception cref="IOException">A connection failed, or was closed instead of echoing.</exception>
    public static void Run(Arguments arguments)
    {
        IPEndPoint to = arguments.EndPoint("to");
        int connections = arguments.Count("connections", 1000);
        int say = arguments.Count("say", 0);
        arguments.RefuseOthers();

        int[] descriptors = ClientSockets.Open(to, connections);
        if (say > 0)
            foreach (int[] some in descriptors.Chunk(AtATime)) Talk(some, new byte[say]);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"READY {connections}"));
        ParentGuard.WaitForEnd();
    }

    private static void Talk(int[] descriptors, byte[] message)
    {
        fixed (byte* bytes = message)
        {
            foreach (int descriptor in descriptors)
                if (Libc.Send(descriptor, bytes, (nuint)message.Length, Libc.MsgNoSignal) != message.Length) throw Failed();

            foreach (int descriptor in descriptors)
            {
                for (nint got = 0, more; got < message.Length; got += more)
                {
                    more = Libc.Receive(descriptor, bytes, (nuint)(message.Length - got), 0);
                    if (more <= 0) throw Failed();
                }
            }
        }
    }

    private static IOException Failed() =>
        new($"a client got no echo: {Libc.Describe(Marshal.GetLastPInvokeError())}");
}
