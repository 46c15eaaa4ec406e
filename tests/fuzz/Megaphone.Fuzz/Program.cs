using Megaphone.Fuzz;
using SharpFuzz;

// Megaphone.Fuzz TARGET            runs the target under AFL++, which gives it one input after the other
// Megaphone.Fuzz TARGET FILE…      runs the target once on each file; the first violation ends it with its stack trace
if (args is not [string name, .. string[] files] || !FuzzTargets.All.TryGetValue(name, out Action<byte[]>? target))
{
    Console.Error.WriteLine($"usage: Megaphone.Fuzz TARGET [FILE…], where TARGET is one of {string.Join(", ", FuzzTargets.All.Keys)}");
    return 2;
}

foreach (string file in files)
{
    Console.WriteLine(file);
    target(File.ReadAllBytes(file));
}

if (files.Length == 0)
{
    // In a process of its own, so that a target that never ends, or takes its process along, is a finding and not the end of the run.
    Fuzzer.OutOfProcess.Run(stream =>
    {
        using MemoryStream input = new();
        stream.CopyTo(input);
        target(input.ToArray());
    });
}

return 0;
