namespace Megaphone.Bench;

/// <summary>What is watched during a run: this run itself, or another process.</summary>
/// <param name="Key">Its name in JSON: <c>bench</c>, or the process id.</param>
/// <param name="Name">Its name for people, which has the program's.</param>
/// <param name="Ids">The processes whose usage is added up.</param>
internal sealed record WatchedProcess(string Key, string Name, IReadOnlyList<int> Ids);
