return await Megaphone.Cli.Entry.RunAsync(args);
