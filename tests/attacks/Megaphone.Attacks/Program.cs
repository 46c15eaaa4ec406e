using System.Runtime.InteropServices;
using Megaphone.Attacks;

AttackOptions options;
try
{
    options = AttackOptions.Parse(args);
}
catch (ArgumentException wrong)
{
    Console.Error.WriteLine(wrong.Message);
    return 2;
}

// ejabberd has a session of its own, and would not hear of Ctrl-C.
using CancellationTokenSource stop = new();
void Stop(PosixSignalContext signal)
{
    signal.Cancel = true;
    stop.Cancel();
}

using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);

Timing timing = Timing.Long(options.Length);
Console.WriteLine(AttackReport.Head(timing, options.Front));
List<AttackResult> results = [];
int broken = 0;
foreach (string name in options.Names)
{
    try
    {
        AttackResult result = await AttackRun.PlayAsync(AttackList.Make(name), timing, options.Front, stop.Token);
        Console.WriteLine(AttackReport.Row(result));
        results.Add(result);
        if (options.Front != Front.Ecm || !result.Broken(AttackReport.MaxLongest(result)).Any()) continue;
        Console.WriteLine($"The ECM: {result.EcmState}");
        broken++;
    }
    catch (Exception) when (stop.IsCancellationRequested)
    {
        return 130;
    }
    catch (Exception failure)
    {
        // Whatever it is: the other attacks can be played all the same.
        Console.WriteLine($"{name}\n    NOT PLAYED: {failure}");
        broken++;
    }
}

if (options.Json is { } file) AttackReport.Write(file, results);
string count = $"{options.Names.Count} attacks";
if (options.Front != Front.Ecm && broken == 0)
{
    Console.WriteLine($"\n{count}");
    return 0;
}

Console.WriteLine(broken == 0 ? $"\n{count}, all bounds kept" : $"\n{count}; bounds were not kept in {broken} of them");
return broken == 0 ? 0 : 1;
